"""`avdet calibrate` as a user runs it: a table, a new rig file and a picture, or an error."""

from __future__ import annotations

from helpers.driving_sound import RATE, Errors, driving_sound, small_rig, traffic_azimuths
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner
import yaml

from avdet_ros.cli.main import app
from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, load_rig

SECONDS = 75


@pytest.fixture(scope='module')
def rig_path(tmp_path_factory):
    path = tmp_path_factory.mktemp('rig') / 'rig.yaml'
    text = default_rig_path().read_text().replace('44100', str(RATE))
    path.write_text(text)
    assert yaml.safe_load(text)['array']['sample_rate_hz'] == RATE
    return path


def calibrate(*words):
    """Run the command in this process."""
    return CliRunner().invoke(app, ['calibrate', *map(str, words)], catch_exceptions=True)


@pytest.mark.slow
def test_calibrate_writes_a_table_a_rig_and_a_picture(tmp_path, rig_path):
    errors = Errors(gain_db=np.linspace(-3, 3, 8), late_s=np.linspace(0, 4e-5, 8), dead=(5,))
    sound = driving_sound(small_rig(), traffic_azimuths(SECONDS, 1), errors)
    soundfile.write(tmp_path / 'drive.wav', sound, RATE, subtype='PCM_16')
    out = tmp_path / 'new.yaml'
    done = calibrate(tmp_path / 'drive.wav', '--rig', rig_path, '--out', out, '--speed', '0')
    assert done.exit_code == 0, done.output
    assert 'channel 5 (rear_right) is dead' in done.output
    assert "the yaw is the rig file's" in done.output
    new, old = load_rig(out), load_rig(rig_path)
    assert np.flatnonzero(~new.alive).tolist() == [5]
    live = new.alive
    expected = errors.gain_db - errors.gain_db[live].mean()
    assert np.abs(new.gain_db - expected)[live].max() < 0.4
    # Delays that rise to 40 us along the list resemble no other error of an octagon.
    ahead = (new.microphones_m - old.microphones_m)[:, 0] / 343 - new.delay_s
    off = (ahead + errors.late_s)[live]
    assert np.abs(off - off.mean()).max() < 1.5e-5
    assert (tmp_path / 'new.png').read_bytes().startswith(b'\x89PNG')
    assert '# Calibrated by avdet calibrate from' in out.read_text()
    assert '# Eight microphones on an octagon' in out.read_text()
    again = calibrate(tmp_path / 'drive.wav', '--rig', out, '--out', out, '--speed', '0')
    assert 'expected another file than the rig itself' in str(again.exception)


@pytest.mark.slow
def test_recording_without_traffic_writes_nothing(tmp_path, rig_path):
    sound = driving_sound(small_rig(), traffic_azimuths(62, 2), traffic=0.0, own=0.0)
    soundfile.write(tmp_path / 'drive.wav', sound, RATE, subtype='PCM_16')
    done = calibrate(tmp_path / 'drive.wav', '--rig', rig_path, '--out', tmp_path / 'new.yaml')
    assert isinstance(done.exception, AvdetError)
    assert 'too little traffic' in str(done.exception)
    assert not (tmp_path / 'new.yaml').exists()


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['--speed', '1000'], '--speed: expected -50 to 300 km/h, found 1000'),
        (['--walk', 'another.wav'], '--walk: expected one recording, found 2'),
        ([], 'none.wav'),
    ],
)
def test_invalid_arguments_are_rejected(tmp_path, rig_path, words, sentence):
    done = calibrate(tmp_path / 'none.wav', '--rig', rig_path, *words)
    assert isinstance(done.exception, AvdetError)
    assert sentence in str(done.exception)
