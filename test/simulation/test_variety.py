"""Drives of many sounds: what stays, what is drawn, and that both renderers play it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.scene import Noise
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.spectral_features import spectral_features
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.variety import KINDS, OtherSound, StormyNoise, varied

FRONT_END = FrontEnd.of(load_rig())


def test_roads_traffic_and_boxes_stay():
    for seed in range(5):
        scene = random_scene(seed)
        before, after = scene.truth(3.0), varied(scene).truth(3.0)
        np.testing.assert_array_equal(before.boxes_px, after.boxes_px)
        np.testing.assert_array_equal(before.ids, after.ids)
        assert (before.level_db != after.level_db)[np.isfinite(before.level_db)].all()


def test_colours_spread_by_some_decibels_an_octave():
    found = []
    for seed in range(40):
        scene = random_scene(seed)
        for vehicle, other in zip(scene.vehicles, varied(scene).vehicles, strict=True):
            if vehicle.sound.running:
                found.append(other.sound.propulsion_db(10.0) - vehicle.sound.propulsion_db(10.0))
    spread = np.std(found, axis=0)
    assert (spread > 3).all()
    assert (spread < 8).all()
    assert abs(np.mean(found)) < 3


def test_the_same_seed_draws_the_same():
    first, second = (varied(random_scene(7)) for _ in range(2))
    assert first.vehicles[0].sound == second.vehicles[0].sound
    assert len(first.distractors) == len(second.distractors)


def test_half_of_the_drives_have_other_sounds_of_every_kind():
    drives = [varied(random_scene(seed)) for seed in range(150)]
    kinds = [sound.kind for drive in drives for sound in drive.distractors]
    assert set(kinds) == set(KINDS)
    assert 0.35 < np.mean([bool(drive.distractors) for drive in drives]) < 0.65


def test_rain_and_gusts_are_louder_in_both_renderers(world):
    noise = random_scene(2).noise
    gusts = (0.0, 20.0, *[0.0] * 6)
    stormy = StormyNoise(**vars(noise), rain_db=70.0, gust_db=gusts)
    assert isinstance(stormy, Noise)
    louder = cnossos.a_weighted_db(stormy.bands_db(0.0)) - cnossos.a_weighted_db(noise.bands_db(0))
    assert louder > 10
    calm, wild = world(noise=noise), world(noise=replace(stormy, rain_db=-np.inf))
    rise = {}
    for name, scene in (('calm', calm), ('wild', wild)):
        exact = FRONT_END.compute(SoundRenderer(scene).read(0, FRONT_END.samples))
        quick = spectral_features(QuickSound([scene], FRONT_END).spectra(0.0)[0], FRONT_END)
        rise[name] = [features[:8, 2:6].mean(axis=(1, 2)) for features in (exact, quick)]
    for calmly, wildly in zip(rise['calm'], rise['wild'], strict=True):
        assert 15 < (wildly - calmly)[1] < 25
        assert np.abs(np.delete(wildly - calmly, 1)).max() < 3


def test_other_sounds_come_from_where_they_are(world):
    scene = world(noise=random_scene(2).noise)
    place = np.array([0.0, 20.0, 1.7])
    sound = OtherSound('horn', 100, place, np.zeros(3), np.full(8, 100.0), 0.0, 1.0, 0.0)
    scene = replace(scene, distractors=(sound,))
    exact = FRONT_END.compute(SoundRenderer(scene).read(0, FRONT_END.samples)).mean(axis=-1)
    quick = spectral_features(QuickSound([scene], FRONT_END).spectra(0.0)[0], FRONT_END)
    quick = quick.mean(axis=-1)
    bands = slice(8, 60)
    difference_db = quick[:8, bands] - exact[:8, bands]
    assert abs(difference_db.mean()) < 0.3
    assert np.abs(difference_db).max() < 2.5  # either is one second of noise of its own
    np.testing.assert_allclose(quick[8:, bands], exact[8:, bands], atol=0.1)
