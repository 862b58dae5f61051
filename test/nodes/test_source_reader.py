"""The sound thread survives any failure of its source."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import soundfile

from avdet_ros.errors import AvdetError
from avdet_ros.nodes.source_reader import SourceReader
from avdet_ros.sources.base import SourceLost
from avdet_ros.sources.file import FileSource

pytestmark = pytest.mark.ros

RATE_HZ = 44100


class LooseCable(FileSource):
    """A file source that is lost once and fails twice to reopen."""

    starts = 0

    def start(self):
        self.starts += 1
        if self.starts in (2, 3):
            raise OSError('the driver has stumbled')
        super().start()

    def read(self, timeout_s, samples):
        if self.starts == 1:
            raise SourceLost(f'{self.label} has gone')
        return super().read(timeout_s, samples)


class SlowDriver(FileSource):
    """A file source that blocks on start until released and may then fail."""

    def __init__(self, path, refusals):
        super().__init__(path, RATE_HZ)
        self.answer = threading.Event()
        self.refusals = refusals

    def start(self):
        self.answer.wait(60)
        if self.refusals:
            self.refusals -= 1
            raise OSError('the driver has stumbled')
        super().start()


@pytest.fixture
def wav(tmp_path):
    samples = np.ones((RATE_HZ, 8), np.int16)
    soundfile.write(tmp_path / 'drive.wav', samples, RATE_HZ, subtype='PCM_16')
    return tmp_path / 'drive.wav'


def test_driver_error_while_reopening_does_not_end_the_thread(wav, wait):
    source = LooseCable(wav, RATE_HZ)
    log, faults, blocks = [], set(), []
    sound = SourceReader(source, time.time, blocks.append, lambda: None, log.append, lambda: True)
    sound.start()
    try:
        wait(lambda: faults.add(sound.fault) or blocks, 'sound')
        wait(lambda: sound.reopened == 1 and not sound.fault, 'the end of the fault')
    finally:
        sound.stop()
    assert source.starts == 4
    assert f'{source.label}: OSError: the driver has stumbled' in faults
    assert sum('Traceback' in line for line in log) == 1
    assert not sound.busy


@pytest.mark.parametrize('refusals', [0, 1])
def test_unresponsive_driver_is_reported_and_awaited(wav, wait, refusals):
    source = SlowDriver(wav, refusals)
    log, faults, blocks = [], set(), []
    sound = SourceReader(
        source, time.time, blocks.append, lambda: None, log.append, lambda: True, 0.05
    )
    sound.start()
    try:
        assert 'it does not answer' in sound.fault
        assert not blocks
        source.answer.set()
        wait(lambda: faults.add(sound.fault) or (blocks and not sound.fault), 'sound')
    finally:
        source.answer.set()
        sound.stop()
    assert (f'{source.label}: OSError: the driver has stumbled' in faults) == bool(refusals)
    assert sum('Traceback' in line for line in log) == refusals
    assert not sound.busy


def test_immediate_driver_error_is_raised(wav, wait):
    source = SlowDriver(wav, 1)
    source.answer.set()
    log = []
    sound = SourceReader(
        source, time.time, lambda _: None, lambda: None, log.append, lambda: True, 60.0
    )
    with pytest.raises(OSError, match='the driver has stumbled'):
        sound.start()
    wait(lambda: not sound.busy, 'the thread to end')
    assert log == []


def test_reader_reads_the_requested_number_of_samples(wav, wait):
    wanted, blocks = [2000, 300, 1], []
    reader = SourceReader(
        FileSource(wav, RATE_HZ),
        time.time,
        blocks.append,
        lambda: None,
        lambda _: None,
        lambda: True,
        wanted=lambda: wanted[min(len(blocks), 2)],
    )
    reader.start()
    try:
        wait(lambda: len(blocks) > 3, 'sound')
    finally:
        reader.stop()
    assert [len(stamped.block.samples) for stamped in blocks[:4]] == [2000, 300, 1, 1]


def test_damaged_file_is_read_once_up_to_the_damage(tmp_path, wait):
    path = tmp_path / 'drive.flac'
    rng = np.random.default_rng(1)
    sound = (rng.normal(size=(RATE_HZ * 2, 8)) * 1000).astype(np.int16)
    soundfile.write(path, sound, RATE_HZ)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source, lines = FileSource(path, RATE_HZ, paced=False), []
    reader = SourceReader(
        source, time.time, lambda _: None, lambda: None, lines.append, lambda: True
    )
    reader.start()
    wait(lambda: source.exhausted, 'the end of the file')
    wait(lambda: not reader.busy, 'the thread to end')
    assert reader.samples == pytest.approx(RATE_HZ, rel=0.1)
    assert (reader.reopened, reader.fault, lines) == (0, '', [])
    assert 'drive.flac is damaged at ' in source.damage
    reader.stop()


class UnreadableFile(FileSource):
    """A file source that fails while being read."""

    def read(self, timeout_s, samples):
        raise AvdetError('the file is of another kind from here on')


def test_failed_file_is_not_reopened(wav, wait):
    source = UnreadableFile(wav, RATE_HZ)
    reader = SourceReader(
        source, time.time, lambda _: None, lambda: None, lambda _: None, lambda: True
    )
    reader.start()
    wait(lambda: source.exhausted, 'the end')
    assert (source.damage, reader.reopened) == ('the file is of another kind from here on', 0)
    reader.stop()


def test_no_sound_is_passed_on_before_ros_time_starts(tmp_path, wait):
    """With use_sim_time and nothing on /clock yet, time is 0, which is not a valid stamp."""
    path = tmp_path / 'sound.wav'
    soundfile.write(path, np.zeros((44100, 8), 'i2'), 44100)
    blocks, began_s = [], time.monotonic()
    now = [0.0]
    reader = SourceReader(
        FileSource(path, RATE_HZ, loop=True),
        lambda: now[0] and 5.0 + time.monotonic() - began_s,
        blocks.append,
        lambda: None,
        lambda _: None,
        lambda: True,
    )
    reader.start()
    try:
        wait(lambda: reader.still and reader.samples > 4410, 'sound that is not passed on')
        assert blocks == []
        now[0] = 1.0
        wait(lambda: len(blocks) > 5, 'sound once time has begun')
        assert all(block.time_ns(block.block.first_sample) > 4e9 for block in blocks)
    finally:
        reader.stop()
