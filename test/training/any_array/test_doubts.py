"""Labels compared with a network that uses nothing but the steered response."""

from __future__ import annotations

from helpers.array_windows import write_shard
import numpy as np
import pytest
import torch
from torch import nn

from avdet_ros.training.any_array.bearing_first import VALUES, BearingShape
from avdet_ros.training.any_array.boxes import columns_deg
from avdet_ros.training.any_array.doubts import Doubts, near_labels, settle_doubts, taken_labels
from avdet_ros.training.any_array.losses import BearingLabels
from avdet_ros.training.any_array.run import AnyArrayRun

SHAPE = BearingShape(width=12, deep=32, steps=4)


class SteeredResponseNetwork(nn.Module):
    """Detects a vehicle in the direction of most of the sound."""

    shape = SHAPE

    def forward(self, level_db, coherence, steering):
        response = torch.matmul(steering, coherence).mean(dim=(1, 3))[:, : SHAPE.front]
        predicted = torch.zeros(len(response), VALUES, SHAPE.front)
        predicted[:, 0] = 400 * (response - 0.97 * response.amax(dim=1, keepdim=True))
        return predicted


@pytest.fixture(scope='module')
def labelled(tmp_path_factory):
    """A shard whose windows with one wave have the true label, an additional false one, or none.

    The last window with a false label is labelled all around, as by the simulator, and all others
    as by a camera.
    """
    folder = tmp_path_factory.mktemp('doubts') / 'train'
    path = write_shard(folder, 3)
    arrays = dict(np.load(path))
    kinds = {}
    for row in np.flatnonzero(arrays['count'] == 1):
        kinds[int(row)] = kind = ('true', 'parked', 'missing')[len(kinds) % 3]
        if kind == 'parked':
            # A second box, far from the sound.
            other = -20.0 if arrays['azimuth_deg'][row, 0] > 0 else 20.0
            arrays['azimuth_deg'][row, 1], arrays['count'][row] = other, 2
            arrays['width_deg'][row, 1] = arrays['height_deg'][row, 1] = 4.0
        elif kind == 'missing':
            arrays['count'][row] = 0
    arrays['seen_deg'] = np.tile(np.float32([80, -80]), (len(arrays['count']), 1))
    whole = max(row for row, kind in kinds.items() if kind == 'parked')
    arrays['seen_deg'][whole] = 180, -180
    kinds[whole] = 'simulated'
    with path.open('wb') as file:
        np.savez(file, **arrays)
    run = AnyArrayRun(folder, folder, folder.parent / 'run', shape=SHAPE)
    store = run.store(folder, None)
    store.refresh()
    return store, kinds, arrays


def test_vehicles_only_seen_or_only_heard_become_unsure_labels(labelled):
    store, kinds, true = labelled
    before = store.column('count').copy()
    doubts = settle_doubts(SteeredResponseNetwork(), store)
    unsure, count = store.column('unsure'), store.column('count')
    found = {'true': 0, 'parked': 0, 'missing': 0}
    for row, kind in kinds.items():
        if kind == 'simulated':
            assert not unsure[row].any()
        elif kind == 'parked':
            found[kind] += unsure[row, :2].tolist() == [False, True]
        elif kind == 'true':
            found[kind] += not unsure[row, 0] and count[row] == before[row]
        else:
            opened = unsure[row, : count[row]]
            where = store.column('angles_deg')[row, 0, 0]
            found[kind] += bool(opened.any()) and abs(where - true['azimuth_deg'][row, 0]) < 3
    many = {kind: list(kinds.values()).count(kind) for kind in found}
    assert min(many.values()) >= 3
    for kind, right in found.items():
        assert right >= 0.7 * many[kind], (kind, found, many)
    assert doubts.silent >= found['parked']
    assert doubts.unseen >= found['missing']
    simulated = next(row for row, kind in kinds.items() if kind == 'simulated')
    assert doubts.labels == before.sum() - before[simulated]


def test_bearing_takes_only_the_widest_box_near_it():
    centres = columns_deg(SHAPE, torch.device('cpu'))
    heard = torch.zeros(2, SHAPE.front)
    for row, azimuth_deg, sure in (
        (0, 10.0, 0.9),
        (0, 13.0, 0.5),
        (0, -20.0, 0.1),
        (1, 10.0, 0.4),
    ):
        heard[row, (centres - azimuth_deg).abs().argmin()] = sure
    boxes = [(9.0, 2.0), (11.0, 6.0), (15.0, 3.0), (-20.0, 4.0)]
    angles = torch.zeros(2, 5, 4)
    angles[:, :4, ::2] = torch.tensor(boxes)
    valid = torch.tensor([[True] * 4 + [False], [True, False, True, True, False]])
    labels = BearingLabels(angles, torch.full((2, 5), torch.nan), valid)
    near = near_labels(labels, centres)
    taken = taken_labels(heard, labels, near)
    # The second bearing takes the wider of the boxes that the first has left.
    assert taken[0].tolist() == [False, True, True, False, False]
    assert taken[1].tolist() == [True, False, False, False, False], 'the widest is padding'
    assert taken_labels(heard, labels, near, 0.6)[0].tolist() == [False, True] + [False] * 3


def test_fully_simulated_labels_stay_sure(tmp_path):
    write_shard(tmp_path / 'train', 3)
    run = AnyArrayRun(tmp_path / 'train', tmp_path / 'train', tmp_path / 'run', shape=SHAPE)
    store = run.store(run.train, None)
    store.refresh()
    assert settle_doubts(SteeredResponseNetwork(), store) == Doubts(0, 0, 0)
    assert not store.column('unsure').any()
