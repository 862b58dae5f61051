"""How the sound thread handles each result of a source, step by step and without waiting."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.nodes import source_reader as module
from avdet_ros.nodes.source_reader import SourceReader
from avdet_ros.sources.base import BLOCK_SAMPLES, Block, SourceLost

pytestmark = pytest.mark.ros

RATE_HZ = 1000


class Array:
    """A source whose answers the test sets."""

    def __init__(self):
        self.label, self.sample_rate_hz, self.may_hang = 'array', RATE_HZ, True
        self.exhausted, self.damage = False, ''
        self.answers, self.starts, self.asked, self.stops = [], [], [], 0

    def start(self):
        error = self.starts.pop(0) if self.starts else None
        if error is not None:
            raise error

    def stop(self):
        self.stops += 1

    def read(self, timeout_s, samples):
        self.asked.append((timeout_s, samples))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def reader(monkeypatch):
    source = Array()
    reader = SourceReader(
        source,
        lambda: reader.ros_s,
        lambda stamped: reader.taken.append(stamped),
        lambda: reader.began.append(1),
        lambda line: reader.log.append(line),
        lambda: reader.ros_runs,
    )
    reader.ros_s, reader.ros_runs = 500.0, True
    reader.taken, reader.began, reader.log, reader.waits = [], [], [], []

    def wait(seconds=None):
        reader.waits.append(seconds)
        return reader.ends

    reader.ends = False
    reader._ending = SimpleNamespace(
        wait=wait, is_set=lambda: reader.ends, set=lambda: setattr(reader, 'ends', True)
    )
    reader.now_s = 100.0
    monkeypatch.setattr(module.time, 'monotonic', lambda: reader.now_s)
    return reader


def make_block(first=0, count=100, time_s=99.9):
    return Block(np.zeros((count, 8), np.int16), first, time_s)


def test_blocks_are_passed_on_with_ros_time_and_counted(reader):
    reader.source.answers = [make_block(), None, make_block(100, 50, 100.0)]
    assert reader._read()
    assert reader._read()
    reader.now_s, reader.ros_s = 100.1, 500.1
    assert reader._read()
    assert reader.source.asked == [(module.READ_TIMEOUT_S, BLOCK_SAMPLES)] * 3
    assert (reader.samples, reader.last_s) == (150, 100.1)
    first, second = reader.taken
    assert first.time_ns(0) == pytest.approx(499.9e9, abs=1e6)
    assert second.time_ns(100) - second.time_ns(0) == pytest.approx(1e8, rel=1e-3)
    assert first.block.first_sample == 0


def test_reading_ends_when_the_source_is_exhausted(reader):
    reader.source.answers = [None, make_block(), None]
    assert reader._read()
    reader.source.exhausted = True
    assert reader._read()  # the remaining samples
    assert not reader._read()


def test_lost_source_is_reopened_with_growing_waits(reader):
    reader.source.answers = [SourceLost('array is gone')]
    reader.source.starts = [OSError('busy')] * 5
    reader.clock.update(0.0, 3.0)
    assert reader._read()
    assert reader.waits == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]
    assert (reader.reopened, reader.fault, reader.began) == (1, '', [1])
    assert reader.source.stops == 1
    assert reader.log[0] == 'array is gone; trying to open it again'
    assert reader.log[-1] == 'array is back'
    assert sum('Traceback' in line for line in reader.log) == 1  # a repeated error is not logged
    assert len(reader.log) == 3


def test_fault_shows_the_latest_error_until_the_source_returns(reader):
    reader.source.answers = [AvdetError('array stumbled')]
    faults, start = [], reader.source.start
    reader.source.start = lambda: faults.append(reader.fault) or start()
    reader.source.starts = [AvdetError('no such array'), OSError('busy'), OSError('locked')]
    assert reader._read()
    assert faults == [
        'array stumbled',
        'no such array',
        'array: OSError: busy',
        'array: OSError: locked',
    ]
    assert sum('Traceback' in line for line in reader.log) == 2


@pytest.mark.parametrize('when', ['before it opens', 'while it opens'])
def test_reopening_is_abandoned_when_the_reader_ends(reader, when):
    def end():
        reader.ends = True

    if when == 'before it opens':
        reader.ends = True
    else:
        reader.source.start = end
    reader._reopen('gone')
    assert (reader.reopened, reader.began, reader.fault) == (0, [], 'gone')


def test_source_that_cannot_hang_is_not_reopened(reader):
    reader.source.may_hang = False
    reader.source.answers = [AvdetError('damaged at 3 s')]
    assert not reader._read()
    assert (reader.source.damage, reader.source.exhausted) == ('damaged at 3 s', True)
    assert (reader.source.stops, reader.log) == (0, [])


def test_driver_bug_is_logged_while_ros_runs_and_ends_reading_afterwards(reader):
    reader.source.answers = [KeyError('driver'), KeyError('driver')]
    assert reader._read()
    assert "KeyError: 'driver'" in reader.log[0]
    assert reader.log[0].startswith('Traceback')
    assert reader.log[1] == "array: KeyError: 'driver'; trying to open it again"
    assert reader.reopened == 1
    reader.log.clear()
    reader.ros_runs = False
    assert not reader._read()
    assert reader.log == []


def test_sound_stops_with_ros_time_and_resumes_as_a_new_stream(
    reader,
):
    assert not reader._paused(500.0, 100.0)
    assert not reader._paused(500.0, 101.0)
    assert reader._paused(500.0, 101.1)
    assert reader.still
    assert reader.began == []
    assert not reader._paused(500.2, 101.2)
    assert (reader.still, reader.began) == (False, [1])
    assert not reader._paused(500.3, 101.3)
    assert reader.began == [1]
    assert not reader._paused(0.1, 101.35)  # a drive that starts at 0
    assert reader._paused(0.0, 101.4)  # time has not started
    reader.source.answers = [make_block()]
    reader.ros_s = 0.0
    assert reader._read()
    assert (reader.taken, reader.samples) == ([], 100)


def test_block_arriving_after_the_end_is_ignored(reader):
    reader.ends = True
    reader._handle(make_block())
    assert (reader.taken, reader.samples, reader.last_s) == ([], 0, None)


def test_first_open_failure_is_handed_to_the_caller_or_retried(reader):
    reader.source.starts = [OSError('busy')]
    reader._open()
    assert str(reader._refusal) == 'busy'
    assert reader.waits == [0.25, 0.25]  # one wait for the caller, one before opening it
    assert (reader.reopened, reader.fault) == (1, '')
    assert 'array: OSError: busy; trying to open it again' in reader.log
    reader.source.starts, reader.ends = [OSError('busy')], True
    reader._open()
    assert reader.reopened == 1
    assert reader.fault == 'array: expected it to open, it does not answer'


def test_stop_abandons_a_hanging_driver_after_a_timeout(monkeypatch):
    monkeypatch.setattr(module, 'STOP_S', 0.05)
    source, free = Array(), threading.Event()
    source.start = lambda: free.wait(30)
    reader = SourceReader(
        source, time.time, print, lambda: None, lambda line: None, lambda: True, 0.01
    )
    reader.stop()  # the reader has not started
    reader = SourceReader(
        source, time.time, print, lambda: None, lambda line: None, lambda: True, 0.01
    )
    reader.start()
    began_s = time.monotonic()
    reader.stop()
    assert time.monotonic() - began_s < 5
    assert reader.busy
    free.set()
    reader._thread.join(20)
    assert (reader.busy, source.stops, source.asked) == (False, 1, [])
