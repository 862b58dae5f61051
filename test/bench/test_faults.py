"""Faults injected into running nodes: a dead sound server, killed nodes, busy cores."""

from __future__ import annotations

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from helpers.running_nodes import PATIENCE_S
import numpy as np
import psutil
import pytest
from sensor_msgs.msg import Image
import soundfile
from vision_msgs.msg import Detection2DArray

from avdet_ros.bench.virtual_device import DEVICE, VirtualDevice, missing_programs
from avdet_ros.messages.decode import stamp_ns
from avdet_ros.nodes import qos
from avdet_ros.nodes.tracker import TrackerNode

pytestmark = [pytest.mark.ros, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
RATE_HZ = 44100
SHORT_LEASE = """<dds xmlns="http://www.eprosima.com"><profiles>
<participant profile_name="short_lease" is_default_profile="true"><rtps><builtin><discovery_config>
<leaseDuration><sec>4</sec></leaseDuration><leaseAnnouncement><sec>1</sec></leaseAnnouncement>
</discovery_config></builtin></rtps></participant></profiles></dds>
"""
"""With this profile a killed node stays in the graph for 4 s instead of 20 s."""

needs_sound_server = pytest.mark.skipif(
    bool(missing_programs()), reason=f'not installed: {", ".join(missing_programs())}'
)


@pytest.fixture
def process():
    """Runs a node as a separate process."""
    started = []

    def process(node, environment=None, **parameters):
        words = ['--ros-args', '-r', '__ns:=/avdet']
        for name, value in parameters.items():
            words += ['-p', f'{name}:={value}']
        command = [sys.executable, '-m', 'avdet_ros.nodes.main', node, *words]
        environment = {**os.environ, **(environment or {})}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment))
        return started[-1]

    yield process
    for child in started:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
    for child in started:
        assert child.wait(20) in (0, -signal.SIGKILL)


@pytest.fixture
def recording(tmp_path):
    rng = np.random.default_rng(5)
    path = tmp_path / 'noise.wav'
    samples = rng.integers(-2000, 2000, (60 * RATE_HZ, 8)).astype(np.int16)
    soundfile.write(path, samples, RATE_HZ, subtype='PCM_16')
    return path


@needs_sound_server
@pytest.mark.parametrize('limit_s', [PATIENCE_S, pytest.param(15, marks=pytest.mark.timing)])
def test_capture_recovers_from_a_killed_sound_server(watcher, wait, process, recording, limit_s):
    with VirtualDevice() as device:
        device.play(recording)
        windows = watcher.collect(Image, 'spectrogram', qos.ASK_SPECTROGRAM)
        child = process('capture', device.environment, source='device', device=DEVICE)
        wait(lambda: len(windows) > 10, 'windows')
        device.kill()
        watcher.wait_status('capture', 'trying again', level=2)
        assert child.poll() is None
        count = len(windows)
        device.start()
        device.play(recording)
        # It should take 5 s at most, including a window; a busy machine gets more time.
        wait(lambda: len(windows) > count, 'windows after the return', limit_s)
        watcher.wait_status('capture', values=lambda values: values['reopened'] == '1')
        stamps = [stamp_ns(message) for message in windows]
        assert stamps == sorted(stamps)
        assert abs(stamps[-1] * 1e-9 - time.time()) < 5


@needs_sound_server
def test_hanging_sound_server_does_not_hang_capture(watcher, wait, process, recording):
    with VirtualDevice() as device:
        device.play(recording)
        windows = watcher.collect(Image, 'spectrogram', qos.ASK_SPECTROGRAM)
        child = process('capture', device.environment, source='device', device=DEVICE)
        wait(lambda: len(windows) > 3, 'windows')
        device.freeze()
        watcher.wait_status('capture', 'trying again', level=2)
        device.thaw()
        count = len(windows)
        wait(lambda: len(windows) > count, 'windows after it went on')
        device.freeze()
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
        late = process('capture', device.environment, source='device', device=DEVICE)
        watcher.wait_status('capture', 'does not answer', level=2)
        assert late.poll() is None
        device.thaw()
        count = len(windows)
        wait(lambda: len(windows) > count, 'windows once it answers')


def test_killed_detector_is_reported_and_tracking_resumes(
    start, watcher, wait, process, model_path, tmp_path
):
    profile = tmp_path / 'short_lease.xml'
    profile.write_text(SHORT_LEASE)
    tracks = watcher.collect(Detection2DArray, 'tracks', 100)
    start(TrackerNode)
    process('capture', source='simulation', duration_s=120.0)
    environment = {'FASTRTPS_DEFAULT_PROFILES_FILE': str(profile)}
    victim = process('detector', environment, model=model_path)
    wait(lambda: len(tracks) > 5, 'tracks')
    before = {entry.id for message in tracks for entry in message.detections}
    victim.kill()
    victim.wait()
    watcher.wait_status('tracker', 'no publisher on /avdet/detections', level=2)
    count = len(tracks)
    process('detector', model=model_path)
    wait(lambda: len(tracks) > count + 5, 'tracks after the respawn')
    after = {entry.id for message in tracks[count:] for entry in message.detections}
    # After more than a second without a window, the vehicles may be different ones.
    assert before
    assert after
    assert not before & after
    watcher.wait_status('tracker', 'tracks alive', level=0)


@pytest.mark.parametrize('least', [0, pytest.param(10, marks=pytest.mark.timing)])
def test_tracks_continue_on_busy_cores_and_drops_are_counted(
    start, watcher, wait, process, model_path, least
):
    tracks = watcher.collect(Detection2DArray, 'tracks', 100)
    start(TrackerNode)
    process('detector', model=model_path)
    process('capture', source='simulation', duration_s=300.0)
    wait(lambda: len(tracks) > 5, 'tracks')
    busy_processes = [
        subprocess.Popen([sys.executable, '-c', 'while True: pass'])
        for _ in range(psutil.cpu_count())
    ]
    try:
        count = len(tracks)
        time.sleep(5)
    finally:
        for busy_process in busy_processes:
            busy_process.kill()
            busy_process.wait()
    assert len(tracks) - count > least  # of 50 windows
    count = len(tracks)
    wait(lambda: len(tracks) > count + 20, 'tracks')

    def settled(values):
        sent = int(watcher.status['/avdet/capture'][2]['windows_out'])
        got = int(values['windows_in']) + int(values['windows_dropped'])
        return abs(sent - got) <= 20

    watcher.wait_status('detector', values=settled)
