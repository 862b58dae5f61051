"""Microphone pairs of the coherence, and the features of the first pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from avdet_ros.audio.microphone_pairs import CHANNELS, EVERY_PAIR, PAIRS, of_first_pairs


def test_pairs_list_neighbours_opposites_then_all_others_once():
    apart = [min((j - i) % 8, (i - j) % 8) for i, j in EVERY_PAIR]
    assert apart == [1] * 8 + [4] * 4 + [2] * 8 + [3] * 8
    assert EVERY_PAIR[:12] == PAIRS
    assert {frozenset(pair) for pair in EVERY_PAIR} == {
        frozenset(pair) for pair in combinations(range(8), 2)
    }
    assert sorted(CHANNELS) == [32, 64]


@pytest.mark.parametrize(
    ('found', 'wanted', 'left'),
    [(64, 32, 32), (32, 32, 32), (64, 64, 64), (32, 64, 32), (33, 32, 33), (64, 40, 64)],
)
def test_only_features_of_a_front_end_are_reduced(found, wanted, left):
    spectrogram = np.arange(found, dtype=np.float32)[:, None, None]
    assert of_first_pairs(spectrogram, wanted)[:, 0, 0].tolist() == list(range(left))


def test_array_without_channels_is_unchanged():
    assert of_first_pairs(np.array(1.0), 32).shape == ()
