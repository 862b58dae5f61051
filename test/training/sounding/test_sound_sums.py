"""Sound sums: they add, can be mirrored, and give maps that peak in the sound direction."""

from __future__ import annotations

from helpers.plane_waves import plane_wave
import numpy as np
import pytest
import torch

from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG, received
from avdet_ros.training.data.augment import added
from avdet_ros.training.data.mirror import find_mirror
from avdet_ros.training.sounding.sound_sums import GROUPS, mirrored_sums, sound_sums


def test_sound_sums_of_two_sounds_add_up_to_the_mixture(rig):
    waves = np.stack([plane_wave(rig, 20, -40.0), plane_wave(rig, -10, -46.0)])
    one, other = sound_sums(waves)
    first, second = torch.from_numpy(waves).float()
    (both,) = sound_sums([added(first[None], second[None])[0].numpy()])
    torch.testing.assert_close(one + other, both, rtol=1e-4, atol=1e-9)
    assert sound_sums([]).shape[0] == 0


@pytest.mark.parametrize('azimuth_deg', [-31.0, 18.0])
def test_direction_maps_peak_in_the_sound_direction(rig, direction_maps, azimuth_deg):
    wave = plane_wave(rig, azimuth_deg)
    sums = sound_sums([wave])
    (found,) = direction_maps(sums)
    assert found.shape == (2 * GROUPS, len(AZIMUTHS_DEG))
    # `received` uses all groups of bands together.
    level = 10 * torch.log10((10 ** (found[:GROUPS] / 10)).sum(dim=0))
    for values in (level, found[GROUPS:].mean(dim=0)):
        assert AZIMUTHS_DEG[int(values.argmax())] == pytest.approx(azimuth_deg, abs=1.0)
    assert level.max() == pytest.approx(received([wave], rig).level_db.max(), abs=0.1)
    (turned,) = direction_maps(mirrored_sums(sums, find_mirror(rig)))
    torch.testing.assert_close(turned[GROUPS:], found[GROUPS:].flip(-1), atol=1e-4, rtol=1e-4)


def test_direction_maps_ignore_overall_level(rig, direction_maps):
    waves = [plane_wave(rig, 5, level) for level in (-70.0, -30.0)]
    quiet, loud = direction_maps(sound_sums(waves))
    torch.testing.assert_close(quiet, loud, atol=1e-3, rtol=1e-4)
