from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.rig import load_rig
from avdet_ros.training.data.augment import find_mirror
from avdet_ros.training.data.mixed_windows import (
    added,
    augment_lesson,
    drop_channels,
    mask_frames,
    mirror_lesson,
    mix_lesson,
)
from avdet_ros.training.data.windows import lessons
from avdet_ros.training.recipes.student import TaughtAugmentation

NOTHING = TaughtAugmentation(mirror=False, gain_db=0.0, channel_gain_db=0.0, mask_bands=0)


def cells(height: int, width: int) -> tuple[int, int]:
    return height, width


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def lesson(taught):
    (batch,) = list(lessons(taught(8, 0), 8))
    return batch


def test_mirrored_lessons_mirror_sound_boxes_and_maps_together(lesson):
    mirror, chosen = find_mirror(load_rig()), torch.tensor([True, False] * 4)
    once = mirror_lesson(lesson, chosen, mirror, cells)
    assert torch.equal(once.attention[0][1], lesson.attention[0][1])
    assert torch.equal(once.attention[0][2], lesson.attention[0][2].flip(-1))
    assert torch.equal(once.features[2], lesson.features[2].flip(-1))
    assert torch.allclose(once.boxes[2][:, 0], 1 - lesson.boxes[2][:, 2])
    again = mirror_lesson(once, chosen, mirror, cells)
    assert torch.allclose(again.sound, lesson.sound)
    assert all(map(torch.allclose, again.boxes, lesson.boxes))
    assert all(map(torch.equal, again.attention, lesson.attention))


def test_levels_alone_are_mirrored_too(lesson):
    from dataclasses import replace

    levels = replace(lesson, sound=lesson.sound[:, :8])
    mirror, all_of_them = find_mirror(load_rig()), torch.ones(8, dtype=torch.bool)
    both = mirror_lesson(lesson, all_of_them, mirror, cells)
    alone = mirror_lesson(levels, all_of_them, mirror, cells)
    assert torch.equal(alone.sound, both.sound[:, :8])


def test_only_columns_that_the_picture_covers_are_mirrored(lesson):
    mirror, all_of_them = find_mirror(load_rig()), torch.ones(8, dtype=torch.bool)
    once = mirror_lesson(lesson, all_of_them, mirror, lambda h, w: (h, w // 2))
    level, before = once.attention[0], lesson.attention[0]
    assert torch.equal(level[..., 16:], before[..., 16:])
    assert torch.equal(level[..., :16], before[..., :16].flip(-1))


def test_a_mixture_of_two_sounds_is_what_the_front_end_hears_of_their_sum():
    rng, front_end = np.random.default_rng(0), FrontEnd()
    everywhere = np.tile(rng.normal(size=44100), (8, 1))
    one, two = (0.1 * np.stack([everywhere, rng.normal(size=(8, 44100))])).astype(np.float32)
    features = [
        torch.from_numpy(pool_frames(front_end.compute(sound)))[None]
        for sound in (one, two, one + two)
    ]
    mixed = added(*features[:2])

    def apart(sound):  # the two are incoherent on average only
        error = (sound.mean(dim=3) - features[2].mean(dim=3)).abs()
        return float(error[:, :8].mean()), float(error[:, 8:].mean())

    levels_db, coherences = apart(mixed)
    assert levels_db < 0.4
    assert coherences < 0.05
    assert min(apart(features[0])[0], apart(features[1])[0]) > 2
    assert torch.allclose(added(features[0][:, :8], features[1][:, :8]), mixed[:, :8])


def test_a_mixture_has_the_union_of_boxes_and_maps(lesson):
    mixed = mix_lesson(lesson, torch.tensor([0, 1]), torch.tensor([5, 6]))
    assert len(mixed.boxes[0]) == len(lesson.boxes[0]) + len(lesson.boxes[5])
    assert len(mixed.boxes[1]) == len(lesson.boxes[1]) + len(lesson.boxes[6]) == 2
    assert len(mixed.boxes[2]) == len(lesson.boxes[2])
    assert torch.equal(
        mixed.attention[1][1], torch.maximum(lesson.attention[1][1], lesson.attention[1][6])
    )
    assert torch.equal(lesson.sound[2], mixed.sound[2])


def test_a_hidden_stretch_of_time_tells_nothing(lesson):
    masked = mask_frames(lesson.sound, 0.5, generator())
    changed = (masked != lesson.sound).any(dim=2).any(dim=1)
    assert 0 < changed.sum() < changed.numel()
    assert changed.float().mean(dim=1).max() <= 0.5 + 1e-6
    for window, where in zip(masked, changed, strict=True):
        assert (window[8:][..., where] == 0).all()
        runs = (where[1:] != where[:-1]).sum()
        assert runs <= 2
    assert masked[:, :8].mean() == pytest.approx(float(lesson.sound[:, :8].mean()), abs=1.0)


def test_a_dead_microphone_takes_its_pairs_along(lesson):
    sound = lesson.sound
    dropped = drop_channels(sound, 1.0, generator())
    dead = (dropped[:, :8] == -100).all(dim=(2, 3))
    assert (dead.sum(dim=1) == 1).all()
    deaf = (dropped[:, 8:] == 0).all(dim=(2, 3)).sum(dim=1)
    assert (deaf == 2 * 3).all()  # two neighbours and the one opposite, real and imaginary
    assert torch.equal(drop_channels(sound, 0.0, generator()), sound)
    assert drop_channels(sound[:, :8], 1.0, generator()).shape == sound[:, :8].shape


def test_nothing_asked_nothing_changed_and_chance_repeats(lesson):
    same = augment_lesson(lesson, NOTHING, None, generator(), cells)
    assert torch.equal(same.sound, lesson.sound)
    how = TaughtAugmentation(mix=0.5, mask_frames=0.2, drop_channel=0.3)
    mirror = find_mirror(load_rig())
    one, two, other = (
        augment_lesson(lesson, how, mirror, generator(seed), cells) for seed in (3, 3, 4)
    )
    assert torch.equal(one.sound, two.sound)
    assert not torch.equal(one.sound, other.sound)
