"""Attention maps stored next to the labels."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.dataset.attention_maps import attention_path, read_attention, write_attention
from avdet_ros.errors import AvdetError


def test_attention_round_trips_through_its_file(tmp_path):
    heat = np.arange(12, dtype=np.float32).reshape(2, 2, 3) / 16
    write_attention(tmp_path, 'day', ['1_0_a', '2_0_a'], heat)
    again = read_attention(tmp_path, 'day')
    assert list(again) == ['1_0_a', '2_0_a']
    np.testing.assert_array_equal(again['2_0_a'], heat[1])
    assert read_attention(tmp_path, 'night') == {}


@pytest.mark.parametrize('heat', [np.zeros((1, 2)), np.zeros((2, 2, 3)), np.zeros((1, 2, 3), int)])
def test_read_attention_rejects_other_files(tmp_path, heat):
    path = attention_path(tmp_path, 'day')
    path.parent.mkdir()
    np.savez(path, ids=np.array(['1_0_a']), heat=heat)
    with pytest.raises(AvdetError, match=r'expected attention of .* --attention, found heat of'):
        read_attention(tmp_path, 'day')
    path.write_bytes(b'no file of numpy')
    with pytest.raises(AvdetError, match='expected attention of'):
        read_attention(tmp_path, 'day')
