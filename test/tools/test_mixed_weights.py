"""Weights between those of a model and the mean of other runs."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from mixed_weights import main
import pytest
import torch

from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape

SHAPE = BearingShape(width=12, deep=32, steps=2)


def run(folder: Path, value: float, shape: BearingShape = SHAPE) -> Path:
    """Write the files of a run in which all weights have one value."""
    state = BearingFirst(shape).state_dict()
    weights = {
        name: torch.full_like(its, value) if its.is_floating_point() else its
        for name, its in state.items()
    }
    folder.mkdir()
    saved = {'shape': asdict(shape), 'plan': {'seed': 3}, 'network': weights}
    torch.save(saved, folder / 'best.pt')
    torch.save(saved | {'averaged': weights}, folder / 'last.pt')
    return folder


def test_weights_move_by_the_share_to_the_mean_of_the_runs(tmp_path):
    model, one, other = (run(tmp_path / f'of {its}', its) for its in (0, 2, 6))
    main(model, 0.25, tmp_path / 'out', [one, other])
    saved = torch.load(tmp_path / 'out/best.pt', weights_only=True)
    for value in saved['network'].values():
        if value.is_floating_point():
            assert value.unique().tolist() == pytest.approx([1.0])
    assert saved['plan'] == {'seed': 3, 'start_from': str(model), 'share': 0.25, 'runs': 2}


def test_model_without_own_columns_uses_the_other_columns(tmp_path):
    model = run(tmp_path / 'model', 1.0)
    taught = run(tmp_path / 'taught', 3.0, replace(SHAPE, own_columns=True))
    main(model, 0.5, tmp_path / 'out', [taught])
    saved = torch.load(tmp_path / 'out/best.pt', weights_only=True)
    assert saved['shape']['own_columns']
    assert saved['network']['own.box.0.weight'].unique().tolist() == [2.0]
