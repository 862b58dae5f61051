"""Live capture through the real PortAudio: channel order, gaps, loss and vanishing devices."""

import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import soundfile
import yaml

from avdet_ros.audio.dropouts import LossFinder
from avdet_ros.bench.clocked_device import ClockedDevice
from avdet_ros.bench.virtual_device import DEVICE
from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, parse_rig
from avdet_ros.sources.base import SourceLost
from avdet_ros.sources.device import DeviceSource
from avdet_ros.sources.device_list import find_device, list_devices, rescan, supports
from avdet_ros.sources.make import make_source

RATE = 44100


@pytest.fixture
def tones(tmp_path):
    """A file with one tone per channel: 400 Hz, 700 Hz, ... 2500 Hz."""
    t = np.arange(20 * RATE) / RATE
    sound = np.stack([0.25 * np.sin(2 * np.pi * (400 + 300 * c) * t) for c in range(8)], axis=1)
    path = tmp_path / 'tones.wav'
    soundfile.write(path, sound, RATE, subtype='PCM_16')
    return path


def collect(source, seconds, settle_s=1.0, wanted=256):
    """Read blocks until enough sound that is not silent has arrived; check their numbers."""
    blocks, loud_samples = [], 0
    deadline = time.monotonic() + seconds + 15
    while loud_samples < (seconds + settle_s) * RATE:
        assert time.monotonic() < deadline, 'the tones never came'
        block = source.read(0.5, wanted)
        if block is None:
            continue
        if blocks:
            before = blocks[-1]
            assert block.first_sample == before.first_sample + len(before.samples) + block.lost
        blocks.append(block)
        loud_samples = (
            loud_samples + len(block.samples) if np.abs(block.samples).max() > 1000 else 0
        )
    return np.concatenate([block.samples for block in blocks])[-int(seconds * RATE) :], blocks


def read_for(source, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        source.read(0.2)


def tone_of(channel):
    """Return the frequency of the strongest line."""
    spectrum = np.abs(np.fft.rfft(channel * np.hanning(len(channel))))
    return spectrum.argmax() * RATE / len(channel)


@pytest.mark.slow
def test_eight_channels_arrive_in_order_without_gaps(virtual_device, rig, tones):
    source = make_source('device', rig, device=DEVICE)
    source.start()
    virtual_device.play(tones)
    sound, blocks = collect(source, 2.0, wanted=2205)
    source.stop()
    assert sound.dtype == np.int16
    lengths = np.array([len(block.samples) for block in blocks])
    # PortAudio's blocks, each a part of its 80 ms, are joined to the requested length.
    assert np.median(lengths) >= 2205
    assert lengths.max() < 2205 + 0.08 * RATE
    for channel in range(8):
        assert tone_of(sound[:, channel]) == pytest.approx(400 + 300 * channel, abs=2)
        # A tone obeys x[n+1] + x[n-1] = 2 cos(w) x[n]; a lost or doubled sample breaks that.
        x = sound[:, channel].astype(float)
        w = 2 * np.pi * (400 + 300 * channel) / RATE
        assert np.abs(x[2:] + x[:-2] - 2 * np.cos(w) * x[1:-1]).max() < 8
    assert source.lost_samples == 0
    times = np.array([block.time_s for block in blocks])
    samples = np.array([block.first_sample for block in blocks]) / RATE
    late = times - samples
    assert np.percentile(late - late.min(), 90) < 0.2


@pytest.mark.slow
def test_channel_map_of_the_rig_is_used(virtual_device, tones):
    tree = yaml.safe_load(default_rig_path().read_text())
    order = [7, 2, 0, 5, 1, 6, 4, 3]
    for microphone, channel in zip(tree['array']['microphones'], order, strict=True):
        microphone['channel'] = channel
    source = DeviceSource(parse_rig(tree), DEVICE)
    source.start()
    virtual_device.play(tones)
    sound, _ = collect(source, 0.5)
    source.stop()
    for microphone, channel in enumerate(order):
        assert tone_of(sound[:, microphone]) == pytest.approx(400 + 300 * channel, abs=4)


@pytest.mark.slow
def test_killed_sound_server_is_detected_and_used_again(virtual_device, rig, tones):
    source = DeviceSource(rig, DEVICE)
    source.start()
    virtual_device.play(tones)
    collect(source, 0.2)
    virtual_device.kill()
    with pytest.raises(SourceLost, match=rf"sound device '{DEVICE}' has"):
        read_for(source, 60)
    with pytest.raises(AvdetError):
        source.start()
    virtual_device.start()
    source.start()
    virtual_device.play(tones)
    sound, blocks = collect(source, 0.5)
    source.stop()
    assert blocks[0].first_sample == 0
    assert tone_of(sound[:, 3]) == pytest.approx(1300, abs=4)


def test_uninitialised_portaudio_is_reported_and_restarted(virtual_device, rig):
    import sounddevice

    while sounddevice._initialized:
        sounddevice._terminate()
    with pytest.raises(AvdetError, match='cannot list the sound devices: PortAudio not init'):
        list_devices()
    source = DeviceSource(rig, DEVICE)
    source.start()
    source.stop()
    assert find_device(DEVICE).name == DEVICE


def test_stop_works_without_start_and_twice(virtual_device, rig):
    source = DeviceSource(rig, DEVICE)
    source.stop()
    source.start()
    source.stop()
    source.stop()
    with pytest.raises(SourceLost):
        source.read(0.0)


def test_devices_are_found_by_index_name_and_part_of_the_name(virtual_device):
    rescan()
    device = find_device(DEVICE)
    assert device.name == DEVICE
    assert device.host_api == 'ALSA'
    assert supports(device, 8, RATE)
    assert device in list_devices()
    assert find_device(device.index) == find_device(str(device.index)) == device
    assert find_device('ARRAY') == device
    with pytest.raises(AvdetError, match=f"no sound device 'nonsense'; .*'{DEVICE}' .*channels"):
        find_device('nonsense')
    with pytest.raises(AvdetError, match="no sound device '²'; the input devices here: 0"):
        find_device('²')
    with pytest.raises(AvdetError, match='no sound device number 99; the input devices here: 0'):
        find_device(99)


def test_unknown_device_is_rejected_with_the_available_ones(virtual_device, rig):
    with pytest.raises(AvdetError, match=f"no sound device 'roof'; .*'{DEVICE}'"):
        make_source('device', rig, device='roof').start()


def test_rig_channel_missing_on_the_device_is_rejected(virtual_device):
    rescan()
    has = find_device(DEVICE).channels
    tree = yaml.safe_load(default_rig_path().read_text())
    tree['array']['microphones'][0]['channel'] = has  # counted from 0
    source = DeviceSource(parse_rig(tree), DEVICE)
    words = f"'{DEVICE}': expected at least {has + 1} channels, which the rig reads, found {has}"
    with pytest.raises(AvdetError, match=words):
        source.start()


COUNTER = """
    import json, sys
    import numpy as np
    from avdet_ros.sources.device import DeviceSource
    from avdet_ros.rig import load_rig

    source = DeviceSource(load_rig(), 'array8')
    source.start()
    pieces, numbers = [], []
    print('open', flush=True)
    while sum(map(len, pieces)) < 12 * 44100:
        block = source.read(1.0)
        if block is not None:
            pieces.append(block.samples)
            numbers.append(np.arange(len(block.samples)) + block.first_sample)
    sound, numbers = np.concatenate(pieces).astype(int), np.concatenate(numbers)
    # Channels 0 and 1 hold the digits of the sample's number in the file.
    digits = (sound[:, :2] + 16000 + 16) // 32
    truth = digits[:, 0] + 1000 * digits[:, 1]
    valid = np.flatnonzero(sound[:, 2] > 8000)
    slips = (truth - numbers)[valid]
    print(json.dumps({
        'lost': source.lost_samples, 'overflows': source.overflows,
        'slip': int(slips[-1] - slips[0]), 'valid': len(valid),
    }))
"""


@pytest.mark.slow
def test_samples_lost_while_the_process_is_stopped_are_counted(virtual_device, tmp_path):
    """The reader is stopped for 8 s, of which the sound server buffers about six.

    The sound itself carries its sample numbers.
    """
    import json
    import signal

    n = np.arange(20 * RATE)
    sound = np.zeros((len(n), 8), np.int16)
    sound[:, 0] = (n % 1000) * 32 - 16000
    sound[:, 1] = (n // 1000) * 32 - 16000
    sound[:, 2] = 16000
    path = tmp_path / 'numbers.wav'
    soundfile.write(path, sound, RATE, subtype='PCM_16')
    process = subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(COUNTER)],
        env={**os.environ, **virtual_device.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == 'open\n'
        virtual_device.play(path)
        time.sleep(3.5)
        process.send_signal(signal.SIGSTOP)
        time.sleep(8)
        process.send_signal(signal.SIGCONT)
        found = json.loads(process.communicate(timeout=30)[0])
    finally:
        process.kill()
        process.wait()
    assert found['valid'] > 5 * RATE
    assert found['lost'] > 0.5 * RATE
    # After the loss of nearly two seconds, sample numbers match the sound to 20 ms again.
    assert abs(found['slip']) < 0.02 * RATE, found


@pytest.mark.parametrize('lost', [50, 441, 4410, 441_000])
@pytest.mark.parametrize('announced', [True, False])
def test_loss_is_estimated_from_arrival_times(lost, announced):
    rng = np.random.default_rng(lost)
    finder = LossFinder(RATE)
    total, held, found = 0, 0, []
    for block in range(1500):
        missing = lost if block == 700 else 0
        total += 512 + missing
        arrival_s = total / RATE * (1 + 50e-6) + rng.exponential(0.4e-3)
        answer = finder.add(512, arrival_s, announced and missing > 0)
        held += answer is None
        if answer:
            found.append(answer)
    if announced:
        assert sum(found) == pytest.approx(lost, abs=60)
        assert len(found) <= 1
        assert held < 25
    elif lost / RATE > 0.06:
        assert len(found) == 1
        assert found[0] == pytest.approx(lost, abs=20 + 1e-4 * lost)
    else:
        assert found == []


@pytest.mark.parametrize('announced', [True, False])
def test_loss_before_a_slow_backlog_is_counted_once(announced):
    """The machine stalls for 8 s; 6 s are buffered and arrive at three times real time."""
    finder = LossFinder(RATE)
    total, now_s, found = 0, 0.0, 0
    for block in range(3000):
        total += 512 + (2 * RATE if block == 1000 else 0)
        now_s += 8.0 if block == 500 else 512 / RATE / 3
        now_s = max(now_s, total / RATE)
        found += finder.add(512, now_s, announced and block == 1000) or 0
    assert found == pytest.approx(2 * RATE, abs=60)


def test_late_arrivals_alone_are_no_loss():
    rng = np.random.default_rng(5)
    finder = LossFinder(RATE)
    for block in range(5000):
        stall = 0.3 if block % 500 == 499 else 0.0
        arrival_s = (block + 1) * 512 / RATE + rng.exponential(1e-3) + stall
        assert finder.add(512, arrival_s, False) == 0


def test_overflow_without_loss_counts_nothing():
    finder = LossFinder(RATE)
    answers = [finder.add(512, block * 512 / RATE, block == 300) for block in range(1000)]
    assert set(answers) == {0, None}
    assert answers[-1] == 0


@pytest.mark.slow
def test_device_that_runs_at_another_rate_is_not_used(monkeypatch, rig):
    sound = (np.random.default_rng(1).normal(size=(RATE, 8)) * 1000).astype(np.int16)
    with ClockedDevice(sound, drift=RATE / 48000 - 1) as device:
        for name, value in device.environment.items():
            monkeypatch.setitem(os.environ, name, value)
        source = make_source('device', rig, device=DEVICE)
        source.start()
        end = time.monotonic() + 30
        while not source.trouble and time.monotonic() < end:
            source.read(0.2)
        assert 'expected 44100 samples a second as it was opened' in source.trouble
        assert source.trouble.endswith('found about 48000')
        assert source.read(0.2) is None
        source.stop()
