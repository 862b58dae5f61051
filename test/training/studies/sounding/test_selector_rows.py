"""Rows of selectors, and saved scores that are used only for the same boxes."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.sounding.box_set import BoxSet
from avdet_ros.training.sounding.network import EVIDENCE
from avdet_ros.training.studies.sounding.selector_rows import (
    RIGHT,
    SELECTORS,
    rows_for,
    selector_scores,
    selectors_not_run,
)


def test_row_keys_and_titles_are_unique():
    assert len({row.key for row in SELECTORS}) == len({row.title for row in SELECTORS})
    assert len({row.title for row in SELECTORS}) == len(SELECTORS)
    for row in SELECTORS:
        assert set(row.plan.kinds) <= set(EVIDENCE)
        assert row.hears == (row.plan.kinds[0] == 'sound')


def test_rows_that_need_more_labelled_frames_than_exist_are_left_out():
    valid = torch.ones(150, 8, dtype=torch.bool)
    sounds = torch.zeros(150, 8)
    sounds[100:] = torch.nan
    train = BoxSet(**dict.fromkeys(item.name for item in fields(BoxSet)))
    train = replace(train, valid=valid, sounds=sounds, drive=torch.zeros(150))
    keys = {row.key for row in rows_for(train)}
    assert {'a', 'avm_20', 'avm_100', 'only_100', 'told_avm'} <= keys
    assert not {'avm_500', 'only_500', 'avm_2000', 'only_2000'} & keys
    left = selectors_not_run(train)
    assert left.startswith('Not run: sound, sight, motion, 500 frames labelled; ')
    assert left.endswith(
        '2,000 frames labelled, no others. Only 100 training frames have a visible vehicle.'
    )
    assert (
        selectors_not_run(
            replace(
                train,
                valid=valid.repeat(20, 1),
                sounds=sounds.repeat(20, 1),
                drive=torch.zeros(3000),
            )
        )
        == ''
    )


def test_scores_of_other_boxes_are_rejected(tmp_path):
    path = tmp_path / 'a_seed0.npz'
    uses = {'test': SimpleNamespace(boxes=[0, 1, 2])}
    np.savez(path, **{f'test/{RIGHT}': np.arange(3.0)})
    found = selector_scores(SELECTORS[0], None, uses, None, 0, path, 1)
    assert found['test'][RIGHT].tolist() == [0, 1, 2]
    for wrong in ({f'test/{RIGHT}': np.arange(2.0)}, {f'other/{RIGHT}': np.arange(3.0)}):
        np.savez(path, **wrong)
        with pytest.raises(AvdetError, match=r'expected scores of a selector, found .* delete it'):
            selector_scores(SELECTORS[0], None, uses, None, 0, path, 1)
