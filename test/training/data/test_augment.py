from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.training.data.augment import augment, drawn_pairs, find_mirror, mirrored
from avdet_ros.training.recipes.read import Augmentation

NOTHING = Augmentation(mirror=False, gain_db=0.0, channel_gain_db=0.0, mask_bands=0)
LEFT_AND_RIGHT = [0, 7, 6, 5, 4, 3, 2, 1]


def sound(seed: int, level: float = 0.1) -> np.ndarray:
    """Eight microphones that hear related but unequal things."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(8, 3))
    return (level * mixing @ rng.normal(size=(3, 44100)) / 4).astype(np.float32)


def features(waveform: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(FrontEnd().compute(waveform))[None]


def test_mirrored_features_are_those_of_mirrored_microphones():
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


def test_an_asymmetric_rig_has_no_mirror():
    rig = load_rig()
    moved = rig.microphones_m.copy()
    moved[3] += [0.05, 0, 0]
    with pytest.raises(AvdetError, match='symmetric'):
        find_mirror(dataclasses.replace(rig, microphones_m=moved))
    camera = dataclasses.replace(rig.camera, cx=900.0)
    with pytest.raises(AvdetError, match='symmetric'):
        find_mirror(dataclasses.replace(rig, camera=camera))


def test_microphones_numbered_otherwise_have_no_mirror():
    rig = load_rig()
    left_and_right = rig.microphones_m[[0, 1, 7, 2, 6, 3, 5, 4]]
    with pytest.raises(AvdetError, match='numbered around the array'):
        find_mirror(dataclasses.replace(rig, microphones_m=left_and_right))


def test_nothing_asked_nothing_changed():
    batch = features(sound(2))
    found, boxes = augment(batch, [torch.rand(1, 4)], NOTHING, None, torch.Generator())
    assert torch.equal(found, batch)
    assert len(boxes[0]) == 1


def test_gain_is_what_a_louder_recording_has():
    how = dataclasses.replace(NOTHING, gain_db=6.0)
    batch = torch.cat([features(sound(seed)) for seed in range(4)])
    found, _ = augment(batch, [torch.zeros(0, 4)] * 4, how, None, torch.Generator().manual_seed(1))
    change = (found - batch)[:, :8]
    assert torch.equal(found[:, 8:], batch[:, 8:])
    assert change.std(dim=(1, 2, 3)).max() < 1e-4
    assert 0.5 < change.abs().max() <= 6.0
    louder = features(sound(0) * 2)[:, :8] - features(sound(0))[:, :8]
    torch.testing.assert_close(
        louder, torch.full_like(louder, 20 * np.log10(2)), atol=1e-3, rtol=0
    )


def test_hidden_bands_have_no_direction():
    how = dataclasses.replace(NOTHING, mask_bands=20)
    batch = torch.cat([features(sound(seed)) for seed in range(8)])
    found, _ = augment(batch, [torch.zeros(0, 4)] * 8, how, None, torch.Generator().manual_seed(3))
    hidden = (found[:, 8:] == 0).all(dim=(1, 3))
    assert hidden.any()
    assert hidden.sum(dim=1).max() <= 20
    assert torch.equal(
        found[:, 8:].transpose(1, 2)[~hidden], batch[:, 8:].transpose(1, 2)[~hidden]
    )


def test_mixing_is_nearly_what_the_sum_of_both_sounds_has():
    how = dataclasses.replace(NOTHING, mix=1.0)
    first, second = sound(5), sound(6, level=0.05)
    batch = torch.cat([features(first), features(second)])
    truth = features(first + second)[0].mean(dim=-1)
    boxes = [torch.rand(1, 4), torch.rand(2, 4)]
    found, union = augment(batch, boxes, how, None, torch.Generator().manual_seed(0))
    assert len(union[0]) == len(union[1]) == 3
    # The sounds are incoherent only on average, and the lowest bands are few bins wide.
    assert (found[0, :8].mean(dim=-1) - truth[:8])[:, 20:].abs().mean() < 0.3
    assert (found[0, 8:].mean(dim=-1) - truth[8:]).abs().mean() < 0.03
    assert (batch[0, 8:].mean(dim=-1) - truth[8:]).abs().mean() > 0.06


@given(st.integers(1, 9), st.floats(0, 1), st.integers(0, 99))
def test_no_window_is_mixed_with_itself(count, part, seed):
    generator = torch.Generator().manual_seed(seed)
    chosen, other = drawn_pairs(count, part, generator, torch.device('cpu'))
    assert len(chosen) == len(other) <= count
    assert torch.all(chosen != other)
    assert torch.all((other >= 0) & (other < count))


def test_the_same_generator_makes_the_same_batch():
    batch = torch.cat([features(sound(seed)) for seed in range(4)])
    boxes = [torch.rand(2, 4) for _ in range(4)]
    mirror = find_mirror(load_rig())
    how = Augmentation(mix=0.5)
    made = [augment(batch, boxes, how, mirror, torch.Generator().manual_seed(9)) for _ in range(2)]
    assert torch.equal(made[0][0], made[1][0])
    assert all(torch.equal(a, b) for a, b in zip(made[0][1], made[1][1], strict=True))
