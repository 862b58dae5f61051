"""Recorded engines and tyres in place of synthetic ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from avdet_ros.errors import AvdetError
from avdet_ros.simulation.recordings import load_recordings
from avdet_ros.simulation.sound import render_sound

RATE = 44100


def _loops(folder, rate=22050):
    t = np.arange(2 * rate) / rate
    rng = np.random.default_rng(0)
    soundfile.write(folder / 'engine_saloon_36kmh.wav', 0.3 * np.sin(2 * np.pi * 440 * t), rate)
    soundfile.write(folder / 'tyre_wet.flac', 0.1 * rng.normal(0, 1, len(t)).clip(-3, 3), rate)


def test_recordings_sound_at_the_speed_and_level_of_the_vehicle(world, tmp_path):
    _loops(tmp_path)
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
    # 440 Hz, at which the loop's level was set, counts 4.0 dB less in dB(A)
    assert level - 4.0 == pytest.approx(float(played.truth(1.5).level_db[0]), abs=1.5)


def test_tyre_recordings(world, tmp_path):
    _loops(tmp_path)
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
def test_bad_recordings_are_named(tmp_path, name, content, says):
    path = tmp_path / name
    if content is None:
        path.write_bytes(b'no sound')
    else:
        soundfile.write(path, content, 44100)
    with pytest.raises(AvdetError, match=says) as error:
        load_recordings(tmp_path, RATE)
    assert name in str(error.value)


def test_no_recordings(tmp_path):
    with pytest.raises(AvdetError, match='found none'):
        load_recordings(tmp_path, RATE)
    with pytest.raises(AvdetError, match='expected a folder'):
        load_recordings(tmp_path / 'missing', RATE)
