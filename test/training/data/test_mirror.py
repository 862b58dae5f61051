from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.data.augment import mix_batch
from avdet_ros.training.data.mirror import find_mirror, mirror_batch, mirrored
from avdet_ros.training.data.windows import loader

LEFT_AND_RIGHT = [0, 7, 6, 5, 4, 3, 2, 1]


def sound(seed: int, level: float = 0.1) -> np.ndarray:
    """Return eight channels of related but different sound."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(8, 3))
    return (level * mixing @ rng.normal(size=(3, 44100)) / 4).astype(np.float32)


def features(waveform: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(FrontEnd().compute(waveform))[None]


def test_mirrored_features_match_those_of_mirrored_microphones():
    waveform = sound(0)
    boxes = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    found, (flipped,) = mirrored(features(waveform), [boxes], find_mirror(load_rig()))
    torch.testing.assert_close(found, features(waveform[LEFT_AND_RIGHT]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(flipped, torch.tensor([[0.7, 0.2, 0.9, 0.4]]))
    assert not torch.allclose(found, features(waveform), atol=0.1)


def test_mirroring_twice_changes_nothing():
    mirror = find_mirror(load_rig())
    before = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.6, 0.1, 0.9, 0.8]])
    once, boxes = mirrored(features(sound(1)), [before], mirror)
    twice, again = mirrored(once, boxes, mirror)
    torch.testing.assert_close(twice, features(sound(1)))
    torch.testing.assert_close(again[0], before)


def test_find_mirror_rejects_an_asymmetric_rig():
    rig = load_rig()
    moved = rig.microphones_m.copy()
    moved[3] += [0.05, 0, 0]
    with pytest.raises(AvdetError, match='symmetric'):
        find_mirror(dataclasses.replace(rig, microphones_m=moved))
    camera = dataclasses.replace(rig.camera, cx=900.0)
    with pytest.raises(AvdetError, match='symmetric'):
        find_mirror(dataclasses.replace(rig, camera=camera))


def test_find_mirror_rejects_other_microphone_numbering():
    rig = load_rig()
    left_and_right = rig.microphones_m[[0, 1, 7, 2, 6, 3, 5, 4]]
    with pytest.raises(AvdetError, match='numbered around the array'):
        find_mirror(dataclasses.replace(rig, microphones_m=left_and_right))


def cells(height: int, width: int) -> tuple[int, int]:
    return height, width


@pytest.fixture
def batch(taught):
    (made,) = list(loader(taught(8, 0), 8, levels=3))
    return made


def test_mirror_batch_mirrors_sound_boxes_and_maps_together(batch):
    mirror, chosen = find_mirror(load_rig()), torch.tensor([True, False] * 4)
    once = mirror_batch(batch, chosen, mirror, cells)
    assert torch.equal(once.attention[0][1], batch.attention[0][1])
    assert torch.equal(once.attention[0][2], batch.attention[0][2].flip(-1))
    assert torch.equal(once.teacher_features[2], batch.teacher_features[2].flip(-1))
    assert torch.allclose(once.boxes[2][:, 0], 1 - batch.boxes[2][:, 2])
    again = mirror_batch(once, chosen, mirror, cells)
    assert torch.allclose(again.spectrogram, batch.spectrogram)
    assert all(map(torch.allclose, again.boxes, batch.boxes))
    assert all(map(torch.equal, again.attention, batch.attention))


def test_levels_without_coherences_are_mirrored(batch):
    levels = replace(batch, spectrogram=batch.spectrogram[:, :8])
    mirror, all_of_them = find_mirror(load_rig()), torch.ones(8, dtype=torch.bool)
    both = mirror_batch(batch, all_of_them, mirror, cells)
    alone = mirror_batch(levels, all_of_them, mirror, cells)
    assert torch.equal(alone.spectrogram, both.spectrogram[:, :8])


def test_only_map_columns_covered_by_the_picture_are_mirrored(batch):
    mirror, all_of_them = find_mirror(load_rig()), torch.ones(8, dtype=torch.bool)
    once = mirror_batch(batch, all_of_them, mirror, lambda h, w: (h, w // 2))
    level, before = once.attention[0], batch.attention[0]
    assert torch.equal(level[..., 16:], before[..., 16:])
    assert torch.equal(level[..., :16], before[..., :16].flip(-1))


def test_open_areas_are_mirrored_and_mixed_with_their_windows(batch):
    areas = [torch.tensor([[0.0, 0.0, 0.1 * (index + 1), 1.0]]) for index in range(8)]
    opened = replace(batch, open_areas=areas)
    mirror, chosen = find_mirror(load_rig()), torch.tensor([True] + [False] * 7)
    once = mirror_batch(opened, chosen, mirror, cells)
    assert torch.allclose(once.open_areas[0], torch.tensor([[0.9, 0.0, 1.0, 1.0]]))
    assert torch.equal(once.open_areas[1], areas[1])
    mixed = mix_batch(opened, torch.tensor([2]), torch.tensor([5]))
    assert torch.equal(mixed.open_areas[2], torch.cat([areas[2], areas[5]]))
    assert mix_batch(batch, torch.tensor([2]), torch.tensor([5])).open_areas == []
