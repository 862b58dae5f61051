"""Recorded engines and tyres in place of synthetic ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from avdet_ros.audio.features import FrontEnd, pool_frames
from avdet_ros.errors import AvdetError
from avdet_ros.simulation.array_windows import WindowPlan, draw_world
from avdet_ros.simulation.quick_sound import QuickSound
from avdet_ros.simulation.recordings import coloured, load_recordings, shuffled
from avdet_ros.simulation.sound import render_sound
from avdet_ros.simulation.spectral_features import spectral_features
from avdet_ros.simulation.variety import varied

RATE = 44100


def _write_loops(folder, rate=22050):
    t = np.arange(2 * rate) / rate
    rng = np.random.default_rng(0)
    soundfile.write(folder / 'engine_saloon_36kmh.wav', 0.3 * np.sin(2 * np.pi * 440 * t), rate)
    soundfile.write(folder / 'tyre_wet.flac', 0.1 * rng.normal(0, 1, len(t)).clip(-3, 3), rate)


def test_engine_recording_plays_at_pitch_and_level_of_vehicle(world, tmp_path):
    _write_loops(tmp_path)
    (tmp_path / 'tyre_wet.flac').unlink()
    recordings = load_recordings(tmp_path, RATE)
    scene = world((60.0, 0.0, 15.0), ego_speed=15.0)
    # only the engine is played; at 15 m/s the loop recorded at 10 m/s is a fifth higher
    engine_only = replace(scene.vehicles[0].sound, rolling_offset_db=-100.0)
    quiet = replace(scene.vehicles[0], sound=engine_only)
    played = replace(scene, vehicles=(quiet,), recordings=recordings)
    sound = render_sound(played, 1.0, 1.0)[0]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert np.argmax(spectrum) == pytest.approx(660, abs=2)
    level = 20 * np.log10(sound.std() * 20 / 20e-6)
    # at 440 Hz, where the loop's level was set, A-weighting subtracts 4.0 dB
    assert level - 4.0 == pytest.approx(float(played.truth(1.5).level_db[0]), abs=1.5)


def test_tyre_recording_replaces_synthetic_sound_at_similar_level(world, tmp_path):
    _write_loops(tmp_path)
    scene = world((15.0, 3.0, 15.0))
    synthetic = render_sound(scene, 2, 0.5)
    played = render_sound(replace(scene, recordings=load_recordings(tmp_path, RATE)), 2, 0.5)
    assert played.std() == pytest.approx(synthetic.std(), rel=0.7)
    assert not np.allclose(played, synthetic, atol=1e-3 * synthetic.std())


@pytest.mark.parametrize(
    ('name', 'content', 'says'),
    [
        ('engine.wav', np.zeros((44100, 2)), 'one channel, found 2'),
        ('engine.wav', np.zeros(44100), 'silence'),
        ('engine.wav', np.ones(100), '0.5 to 60 s'),
        ('horn.wav', np.ones(44100), 'begins with engine or tyre'),
        ('tyre.ogg', None, 'not a readable recording'),
    ],
)
def test_error_names_invalid_recording(tmp_path, name, content, says):
    path = tmp_path / name
    if content is None:
        path.write_bytes(b'no sound')
    else:
        soundfile.write(path, content, 44100)
    with pytest.raises(AvdetError, match=says) as error:
        load_recordings(tmp_path, RATE)
    assert name in str(error.value)


def test_empty_or_missing_recordings_folder_is_rejected(tmp_path):
    with pytest.raises(AvdetError, match='found none'):
        load_recordings(tmp_path, RATE)
    with pytest.raises(AvdetError, match='expected a folder'):
        load_recordings(tmp_path / 'missing', RATE)


def octaves_db(loop):
    """(8,) levels of a loop by octave, from 63 Hz on."""
    power = np.abs(np.fft.rfft(loop.table[:-1]) / len(loop.table)) ** 2
    frequency_hz = np.arange(len(power)) / loop.duration_s
    octave = np.round(np.log2(np.maximum(frequency_hz, 1) / 63))
    return np.array([10 * np.log10(power[octave == band].sum() + 1e-20) for band in range(8)])


def test_equaliser_changes_octaves_but_not_loudness(tmp_path):
    _write_loops(tmp_path, RATE)
    tyres = load_recordings(tmp_path, RATE).tyres[0]
    same, bright = coloured(tyres, (0.0,) * 8), coloured(tyres, (-6.0, -6, -6, -6, 6, 6, 6, 6))
    np.testing.assert_allclose(octaves_db(same), octaves_db(tyres), atol=0.05)
    change = octaves_db(bright) - octaves_db(tyres)
    assert change[[5, 6]].mean() - change[[1, 2]].mean() == pytest.approx(12, abs=0.3)
    # High octaves gain level and low ones lose it, so that the loudness is unchanged.
    assert -13 < change[1] < -6 < 0 < change[6] < 6
    assert bright.duration_s == tyres.duration_s


def test_half_of_drives_use_recordings_each_in_its_own_order(rig, tmp_path):
    _write_loops(tmp_path)
    plan = WindowPlan(world='plain', recordings=str(tmp_path))
    worlds = [draw_world(seed, rig, plan) for seed in range(20)]
    played = [world for world in worlds if world.recordings is not None]
    assert 4 < len(played) < 16
    assert {len(world.recordings.engines) for world in played} == {1}
    loops = load_recordings(tmp_path, RATE)
    many = replace(loops, engines=tuple(replace(loops.engines[0], name=str(i)) for i in range(9)))
    orders = {tuple(loop.name for loop in shuffled(many, seed).engines) for seed in range(5)}
    assert len(orders) == 5
    assert {''.join(sorted(order)) for order in orders} == {'012345678'}


@pytest.mark.slow
@pytest.mark.parametrize('colours', [False, True])
def test_recordings_sound_the_same_in_both_renderers(world, tmp_path, colours):
    _write_loops(tmp_path)
    front_end = FrontEnd()
    scene = replace(world((12.0, 4.0, 10.0)), recordings=load_recordings(tmp_path, RATE))
    scene = varied(scene) if colours else scene
    scene = replace(scene, distractors=())
    exact = pool_frames(front_end.compute(render_sound(scene, 1.0, 1.0)))[:8]
    quick = spectral_features(QuickSound([scene], front_end).spectra(1.0)[0], front_end)[:8]
    difference_db = (quick - exact)[exact > exact.max() - 30]
    assert abs(difference_db.mean()) < 0.2
    assert np.abs(difference_db).mean() < 0.8
