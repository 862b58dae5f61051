"""The sound card's callback, called by the tests: times, overruns and their flags."""

from __future__ import annotations

from dataclasses import replace
import time

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.sources import device
from avdet_ros.sources.base import Block
from avdet_ros.sources.device import RING_S, DeviceSource, port_audio
from avdet_ros.sources.device_list import Device

FRAMES = 4410


class Status:
    """PortAudio's flags of one callback."""

    def __init__(self, input_overflow=False):
        self.input_overflow = input_overflow


@pytest.fixture
def source(rig):
    """A source that was never opened: its callback is called by the test."""
    source = DeviceSource(rig)
    source._reset()
    return source


def call(source, value=1, frames=FRAMES, status=None):
    indata = np.full((frames, source._opened), value, np.int16)
    source._callback(indata, frames, None, status or Status())


def released(source):
    source._collect()
    source._release(0)
    blocks = list(source._ready)
    source._ready.clear()
    return blocks


def test_block_time_is_that_of_its_first_sample(source):
    before = time.monotonic()
    call(source)
    after = time.monotonic()
    (block,) = released(source)
    assert before - 0.1 <= block.time_s <= after - 0.1 + 1e-6
    assert len(block.samples) == FRAMES


def test_ring_buffer_overrun_is_an_overflow_of_the_next_block(source):
    fits = int(RING_S * source.sample_rate_hz) // FRAMES
    for number in range(fits + 10):
        call(source, number)
    blocks = released(source)
    assert [block.samples[0, 0] for block in blocks] == list(range(fits))
    assert source.overflows == 0
    call(source, 99)
    (block,) = released(source)
    assert source.overflows == 1
    assert block.samples[0, 0] == 99
    call(source, 100)
    released(source)
    assert source.overflows == 1


def test_portaudio_overflow_flag_counts_once_per_block(source):
    call(source, status=Status(input_overflow=True))
    call(source)
    call(source, status=Status(input_overflow=True))
    released(source)
    assert source.overflows == 2


def test_block_that_wraps_around_the_ring_buffer_is_complete(source):
    size = int(RING_S * source.sample_rate_hz)
    frames = 1000
    rng = np.random.default_rng(3)
    for _ in range(size // frames + 2):
        sent = rng.integers(-1000, 1000, (frames, source._opened)).astype(np.int16)
        source._callback(sent, frames, None, Status())
        (block,) = released(source)
        assert np.array_equal(block.samples, sent[:, source._columns])


def test_blocks_are_joined_up_to_a_gap_or_the_requested_length(source):
    """The earliest time counts: the third block comes 2 ms sooner than the first ones suggest."""
    rate_hz = source.sample_rate_hz
    number = 0
    for index in range(6):
        samples = np.full((FRAMES, 8), index, np.int16)
        lost = 500 if index == 4 else 0
        time_s = 10 + (number + lost) / rate_hz - (0.002 if index == 2 else 0)
        source._ready.append(Block(samples, number + lost, time_s, lost))
        number += lost + FRAMES
    one = source._joined(FRAMES)
    assert (len(one.samples), one.first_sample, one.time_s) == (FRAMES, 0, 10)
    three = source._joined(2 * FRAMES + 1)
    assert three.samples[::FRAMES, 0].tolist() == [1, 2, 3]
    assert (three.first_sample, three.lost) == (FRAMES, 0)
    assert three.time_s == pytest.approx(10 + FRAMES / rate_hz - 0.002)
    last = source._joined(10 * FRAMES)
    assert last.samples[::FRAMES, 0].tolist() == [4, 5]
    assert (last.first_sample, last.lost) == (4 * FRAMES + 500, 500)
    source._ready.extend([one, last])
    assert len(source._joined(10 * FRAMES).samples) == FRAMES  # up to the gap


def test_stream_is_opened_at_the_rig_rate_and_failure_is_reported(rig, monkeypatch):
    asked = {}

    def refuse(**how):
        asked.update(how)
        raise ValueError('no such\nrate')

    card = Device(3, 'card', 'ALSA', 8, 48_000.0)
    monkeypatch.setattr(device, 'rescan', lambda: None)
    monkeypatch.setattr(device, 'find_device', lambda *wanted: card)
    monkeypatch.setattr(port_audio(), 'InputStream', refuse)
    source = DeviceSource(replace(rig, sample_rate_hz=32_000), 'card', 0.07)
    words = r"^cannot open sound device 'card' with 8 channels at 32000 Hz: no such rate$"
    with pytest.raises(AvdetError, match=words):
        source.start()
    assert asked.pop('callback') == source._callback
    assert asked == {
        'device': 3,
        'channels': 8,
        'samplerate': 32_000,
        'dtype': 'int16',
        'latency': 0.07,
    }
