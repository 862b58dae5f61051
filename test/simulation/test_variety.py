"""Drives with varied sounds: what stays the same, what is drawn, and how both renderers agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.io import wavfile

from avdet_ros.audio.features import FrontEnd
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.engine import Engine
from avdet_ros.simulation.other_sounds import OtherSound, carried_sounds
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.recorded_sounds import RecordedSound, SoundFolder
from avdet_ros.simulation.scene import Noise
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.sound_kinds import CARRIED, KINDS
from avdet_ros.simulation.spectral_features import spectral_features
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.variety import StormyNoise, varied

FRONT_END = FrontEnd.of(load_rig())


def test_variety_keeps_boxes_and_ids_but_changes_levels():
    for seed in range(5):
        scene = random_scene(seed)
        before, after = scene.truth(3.0), varied(scene).truth(3.0)
        np.testing.assert_array_equal(before.boxes_px, after.boxes_px)
        np.testing.assert_array_equal(before.ids, after.ids)
        assert (before.level_db != after.level_db)[np.isfinite(before.level_db)].all()


def test_spectra_vary_by_some_decibels_per_octave():
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


def test_same_seed_draws_same_sounds():
    first, second = (varied(random_scene(7)) for _ in range(2))
    assert first.vehicles[0].sound == second.vehicles[0].sound
    assert len(first.distractors) == len(second.distractors)


@pytest.mark.slow
def test_half_of_drives_have_other_sounds_and_every_kind_occurs():
    drives = [varied(random_scene(seed)) for seed in range(150)]
    kinds = [[sound.kind for sound in drive.distractors] for drive in drives]
    assert {kind for some in kinds for kind in some} == {*KINDS, *CARRIED}
    assert 0.35 < np.mean([bool({*some} & {*KINDS}) for some in kinds]) < 0.65
    assert 0.2 < np.mean([bool({*some} & {*CARRIED}) for some in kinds]) < 0.4


def test_carried_sounds_keep_their_position_on_vehicle(world):
    scene = world(ego_speed=12.0)
    for seed in range(20):
        for sound in carried_sounds(np.random.default_rng(seed), scene.ego):
            for t_s in (0.0, 3.0):
                position, rotation = scene.ego.pose(t_s)
                place = (sound.place(t_s) - position) @ rotation
                assert np.abs(place[:2]).max() < scene.ego.length_m / 2
                assert 0 < place[2] < 2
            assert sound.place(np.zeros((4,))).shape == (4, 3)


def test_some_vehicles_have_no_tones():
    shares = [
        v.sound.tonal_share for seed in range(30) for v in varied(random_scene(seed)).vehicles
    ]
    assert 0.15 < np.mean(np.array(shares) == 0) < 0.35
    assert max(shares) == 1.0
    profile = replace(varied(random_scene(1)).vehicles[0].sound, tones=0.0)
    engine = Engine(replace(random_scene(1).vehicles[0], sound=profile), 1, 44100)
    assert not engine.tonal.any()


@pytest.mark.slow
def test_rain_raises_noise_and_gust_raises_one_channel_in_both_renderers(world):
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


def test_other_sound_has_equal_level_and_coherence_in_both_renderers(world):
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
    assert np.abs(difference_db).max() < 2.5  # each renderer draws its own second of noise
    np.testing.assert_allclose(quick[8:, bands], exact[8:, bands], atol=0.1)


def played(scene, sound):
    """Waveform of one sound, and its mean features (32, 80), exact and quick."""
    scene = replace(scene, distractors=(sound,))
    waveform = SoundRenderer(scene).read(0, FRONT_END.samples)
    exact = FRONT_END.compute(waveform).mean(axis=-1)
    quick = spectral_features(QuickSound([scene], FRONT_END).spectra(0.0)[0], FRONT_END)
    return waveform, exact, quick.mean(axis=-1)


def test_tones_have_level_of_their_bands_in_both_renderers(world):
    levels = np.array([60, 70, 80, 100, 95, 90, 80, 70.0])
    place = np.array([12.0, 5.0, 1.7])
    sound = OtherSound('horn', 101, place, np.zeros(3), levels, 0.0, 1.0, 0.0, 420.0, 8, 0.1, 2.0)
    scene = world()
    waveform, exact, quick = played(scene, sound)
    away = np.linalg.norm(place - scene.rig.array_position_m)
    expected_db = cnossos.pressure_level_db(10 * np.log10(np.sum(10 ** (levels / 10))), away)
    found_db = 10 * np.log10(np.mean(waveform**2) * 1e12)  # full scale is 120 dB
    assert abs(found_db - expected_db) < 1.0
    loud = exact[0] > exact[0].max() - 25
    np.testing.assert_allclose(quick[:8, loud], exact[:8, loud], atol=0.5)
    np.testing.assert_allclose(quick[8:, loud], exact[8:, loud], atol=0.05)


def test_recordings_are_played_among_other_sounds(world, tmp_path):
    rng = np.random.default_rng(3)
    for name in ('rain.wav', 'bell.wav'):
        tone = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100) + 0.1 * rng.normal(size=44100)
        wavfile.write(tmp_path / name, 44100, (8000 * tone).astype(np.int16))
    folder = SoundFolder.of(tmp_path, 44100)
    assert [path.name for path in folder.paths] == ['bell.wav', 'rain.wav']
    assert abs(cnossos.a_weighted_db(folder.bands_db(0))) < 1.5
    sound = RecordedSound(102, np.array([10.0, 0, 1.7]), np.zeros(3), folder, 0, 95.0)
    assert abs(cnossos.a_weighted_db(sound.bands_db(0.0)) - 95.0) < 1.5
    _, exact, quick = played(world(), sound)
    loud = exact[0] > exact[0].max() - 30
    np.testing.assert_allclose(quick[:8, loud], exact[:8, loud], atol=0.5)
    kinds = [
        sound.kind
        for seed in range(40)
        for sound in varied(random_scene(seed), folder).distractors
    ]
    assert {'rain.wav', 'bell.wav'} < set(kinds)


def test_folder_without_readable_recordings_is_rejected(tmp_path):
    with pytest.raises(AvdetError, match='expected recordings'):
        SoundFolder.of(tmp_path, 44100)
    (tmp_path / 'broken.wav').write_bytes(b'RIFF')
    with pytest.raises(AvdetError, match='broken'):
        SoundFolder.of(tmp_path, 44100).loop(0)
