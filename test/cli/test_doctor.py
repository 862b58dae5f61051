"""`avdet doctor` as a user runs it, without a device and on a virtual one."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from avdet_ros.bench.virtual_device import DEVICE, VirtualDevice, missing_programs

RATE = 44100


def doctor(*arguments, environment=None):
    """Return the exit status, the state of each part, and the report."""
    done = subprocess.run(
        [sys.executable, '-m', 'avdet_ros.cli.main', 'doctor', *map(str, arguments)],
        env={
            **os.environ,
            'PYTHONPATH': str(Path(__file__).parents[2]),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 'Traceback' not in done.stderr, done.stderr
    rows = [(line[:12].strip(), line[12:26].strip()) for line in done.stdout.splitlines()]
    return done.returncode, {part: state for state, part in rows if state}, done.stdout


@pytest.mark.slow
def test_parts_are_reported_in_processing_order(tmp_path):
    status, parts, page = doctor('--no-sound', '--seconds', '2', '--record', tmp_path)
    expected = 'device channels levels clock time camera stamps TF model GPU'
    assert list(parts)[:12] == [*expected.split(), 'shared memory', 'disk']
    assert parts['device'] == parts['camera'] == 'not checked'
    assert parts['model'] == 'ok'
    assert (status == 1) == ('to do' in parts.values()), page


@pytest.mark.slow
def test_dead_channel_of_a_device_is_found(tmp_path):
    if missing := missing_programs():
        pytest.skip(f'{" and ".join(missing)} not installed: apt install pulseaudio-utils')
    sound = 0.02 * np.random.default_rng(10).standard_normal((40 * RATE, 8))
    sound[:, 2] = 0
    path = tmp_path / 'dead.wav'
    soundfile.write(path, sound, RATE, subtype='PCM_16')
    with VirtualDevice() as device:
        player = device.play(path)
        status, parts, page = doctor(
            '--device', DEVICE, '--seconds', '5', environment=device.environment
        )
        player.kill()
        player.wait()
    assert status == 1
    assert parts['device'] == 'ok', page
    assert parts['channels'] == 'to do', page
    assert 'left (channel 2): dead' in page
    assert parts['levels'] == 'ok', page
