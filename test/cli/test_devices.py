"""`avdet devices` and `avdet calibrate` as a user runs them, on a virtual device."""

import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from avdet_ros.bench.virtual_device import DEVICE, VirtualDevice, missing_programs
from avdet_ros.rig import default_rig_path
from avdet_ros.sources.device_list import rescan

pytestmark = pytest.mark.slow

RATE = 44100


@pytest.fixture(scope='module')
def device():
    if missing := missing_programs():
        pytest.skip(f'{" and ".join(missing)} not installed: apt install pulseaudio-utils')
    with VirtualDevice() as device:
        yield device


@pytest.fixture
def here(device, tmp_path, monkeypatch):
    """Let this process see the device and run in `tmp_path`."""
    for name, value in device.environment.items():
        monkeypatch.setenv(name, value)
    rescan()
    monkeypatch.chdir(tmp_path)


def run_avdet(*arguments, device=None):
    """Run the command in a separate process and return its status, output and error output."""
    environment = {**os.environ, 'COLUMNS': '120', **(device.environment if device else {})}
    environment['PYTHONPATH'] = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, '-m', 'avdet_ros.cli.main', *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 'Traceback' not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope='module')
def faulty(tmp_path_factory):
    """A minute of noise in which channel 2 is dead, 4 clips and 6 hums."""
    rng = np.random.default_rng(10)
    sound = 0.02 * rng.standard_normal((60 * RATE, 8))
    t = np.arange(len(sound)) / RATE
    sound[:, 2] = 0
    sound[:, 4] = np.clip(60 * sound[:, 4], -1, 1)
    sound[:, 6] += 0.1 * np.sin(2 * np.pi * 50 * t)
    path = tmp_path_factory.mktemp('sound') / 'faulty.wav'
    soundfile.write(path, sound, RATE, subtype='PCM_16')
    return path


def test_devices_are_listed(device):
    status, out, _ = run_avdet('devices', device=device)
    assert status == 0
    (row,) = [line for line in out.splitlines() if DEVICE in line]
    assert '✓' in row
    assert 'ALSA' in row
    assert '44.1' in row


def test_device_mark_requires_the_channels_of_the_rig(device, tmp_path):
    text = default_rig_path().read_text()
    rig = tmp_path / 'rig.yaml'
    rig.write_text(text.replace('channel: 7', 'channel: 39'))
    _, out, _ = run_avdet('devices', '--rig', rig, device=device)
    assert 'gives 40 channels at 44100 Hz' in out
    (row,) = [line for line in out.splitlines() if DEVICE in line]
    assert '✓' not in row


def test_meter_names_the_faulty_channels(device, faulty):
    player = device.play(faulty)
    status, out, _ = run_avdet('devices', '--meter', 'array', '--seconds', '7', device=device)
    player.kill()
    player.wait()
    assert status == 0
    lines = [line.strip() for line in out.splitlines()]
    rows = {line[0]: line for line in lines if line[:1].isdigit()}
    assert 'dead' in rows['2']
    assert 'clipped' in rows['4']
    assert 'hum' in rows['6']
    assert all('ok' in rows[channel] for channel in '01357')


def test_device_is_recorded(device, faulty, tmp_path):
    player = device.play(faulty)
    arguments = ('devices', '--record', '1.5', '--device', DEVICE, tmp_path / 'out.flac')
    status, out, _ = run_avdet(*arguments, device=device)
    player.kill()
    player.wait()
    assert status == 0
    assert 'out.flac: 1.5 s of array8' in out
    sound, rate = soundfile.read(tmp_path / 'out.flac')
    assert (sound.shape, rate) == ((round(1.5 * RATE), 8), RATE)
    assert sound[:, 1].std() > 0.015
    assert not sound[:, 2].any()
    assert [path.name for path in tmp_path.iterdir()] == ['out.flac']


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('--meter', 'roof'), "no sound device 'roof'; the input devices here"),
        (('--tap', 'roof'), "no sound device 'roof'; the input devices here"),
        (('--record', '1', 'out.flac', '--device', 'roof'), "no sound device 'roof'"),
        (('--record', '1', 'out.doc'), 'expected a name ending in .flac or .wav'),
        (('--record', '1', 'nowhere/out.flac'), 'cannot write nowhere/out.flac'),
        (('--record', '1'), 'expected --record SECONDS together with the file'),
        (('--meter', 'a', '--tap', 'b'), 'expected one of --meter, --tap and --record'),
    ],
)
def test_user_errors_are_one_line(here, avdet, tmp_path, arguments, sentence):
    status, _, error = avdet('devices', *arguments)
    assert status == 1
    assert error.startswith('error: ')
    assert sentence in error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_calibrate_reports_unusable_and_missing_recordings(avdet, tmp_path):
    noise = np.random.default_rng(0).standard_normal((RATE, 8)) * 0.1
    soundfile.write(tmp_path / 'noise.wav', noise, RATE)
    status, _, error = avdet('calibrate', '--walk', tmp_path / 'noise.wav')
    assert status == 1
    assert 'expected one clear source carried around the vehicle' in error
    status, _, error = avdet('calibrate', '--walk', tmp_path / 'none.wav')
    assert status == 1
    assert 'none.wav: expected a sound file, found none' in error
