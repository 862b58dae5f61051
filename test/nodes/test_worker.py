"""A worker processes the newest values one by one, even if one of them fails."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.nodes.worker import LatestValueWorker, make_worker


class Log:
    """Records what a worker did; its work blocks until released."""

    def __init__(self) -> None:
        self.worked, self.refused, self.failed = [], [], []
        self.began, self.release = threading.Event(), threading.Event()

    def work(self, value):
        self.worked.append(value)
        self.began.set()
        self.release.wait(10)
        if value == 'bad':
            raise AvdetError('bad input')
        if value == 'broken':
            raise ValueError('a bug')

    def worker(self, keep=1, **options):
        return LatestValueWorker(
            'test', keep, self.work, self.refused.append, self.failed.append, **options
        )


@pytest.fixture
def log():
    log = Log()
    yield log
    log.release.set()


def until(condition):
    end_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.001)


@pytest.mark.parametrize(('keep', 'worked'), [(1, [0, 4]), (2, [0, 3, 4])])
def test_busy_worker_keeps_only_the_newest_values(log, keep, worked):
    worker = log.worker(keep)
    worker.start()
    worker.put(0)
    assert log.began.wait(10)
    for value in range(1, 5):
        worker.put(value)
    log.release.set()
    until(lambda: len(log.worked) == len(worked))
    worker.stop()
    assert log.worked == worked
    assert worker.dropped == 4 - keep


def test_errors_are_reported_and_do_not_end_the_worker(log):
    log.release.set()
    worker = log.worker(keep=3)
    for value in ('bad', 'broken', 'good'):
        worker.put(value)
    worker.start()
    until(lambda: len(log.worked) == 3)
    worker.stop()
    assert [str(error) for error in log.refused] == ['bad input']
    assert [type(error) for error in log.failed] == [ValueError]


def test_error_after_shutdown_is_not_reported(log):
    log.release.set()
    worker = log.worker(alive=lambda: False)
    worker.start()
    worker.put('broken')
    worker._thread.join(10)
    assert not worker._thread.is_alive()
    assert log.failed == []


def test_worker_runs_while_idle_and_limits_its_rate(log):
    log.release.set()
    idle = log.worker(idle_s=0.01)
    idle.start()
    until(lambda: log.worked.count(None) > 2)
    idle.stop()
    log.worked.clear()
    paced = log.worker(period_s=lambda: 0.2)
    paced.start()
    began_s = time.monotonic()
    for value in range(40):
        paced.put(value)
        time.sleep(0.01)
    spent_s = time.monotonic() - began_s
    paced.stop()
    assert len(log.worked) <= 2 + spent_s / 0.2 + 0.5 / 0.2
    assert len(log.worked) < 40


def test_stop_interrupts_a_pause(log):
    log.release.set()
    worker = LatestValueWorker('test', 1, lambda _: worker.pause(60), print, print)
    worker.start()
    worker.put(0)
    time.sleep(0.05)
    began_s = time.monotonic()
    worker.stop()
    assert time.monotonic() - began_s < 4


def test_clear_discards_waiting_values(log):
    worker = log.worker(keep=2)
    worker.start()
    worker.put(0)
    assert log.began.wait(10)
    worker.put(1)
    worker.clear()
    log.release.set()
    worker.stop()
    assert log.worked == [0]


def test_worker_of_a_node_reports_errors_through_the_node(log):
    reports, alive = [], [True]
    node = SimpleNamespace(
        refuse=lambda what, sentence: reports.append(('refused', what, sentence)),
        fail=lambda what, error: reports.append(('failed', what, str(error))),
        context=SimpleNamespace(ok=lambda: alive[0]),
    )
    log.release.set()
    worker = make_worker(node, 'inference', 3, log.work)
    assert worker._thread.name == 'inference'
    for value in ('bad', 'broken', 'good'):
        worker.put(value)
    worker.start()
    until(lambda: len(log.worked) == 3)
    worker.stop()
    assert reports == [('refused', 'inference', 'bad input'), ('failed', 'inference', 'a bug')]
    own = make_worker(node, 'inference', 1, log.work, log.refused.append, idle_s=0.01)
    own.start()
    own.put('bad')
    until(lambda: log.worked.count(None) > 1)  # the option reaches the worker
    alive[0] = False
    own.put('broken')
    own._thread.join(10)
    assert not own._thread.is_alive()  # ROS has shut down, which explains the error
    assert [str(error) for error in log.refused] == ['bad input']
    assert len(reports) == 2


def test_worker_rests_after_an_error_and_takes_the_next_value(log):
    log.release.set()
    at_s = []
    worker = LatestValueWorker(
        'test',
        3,
        lambda value: at_s.append(time.monotonic()) or log.work(value),
        log.refused.append,
        log.failed.append,
        rest_s=0.15,
    )
    for value in ('bad', 'broken', 'good'):
        worker.put(value)
    assert worker.waiting == 3
    worker.start()
    until(lambda: len(at_s) == 3)
    worker.stop()
    assert min(at_s[1] - at_s[0], at_s[2] - at_s[1]) > 0.14
    assert at_s[2] - at_s[0] < 5
    assert (worker.waiting, worker.pause(5)) == (0, True)


def test_pace_catches_up_by_at_most_half_a_second(log, monkeypatch):
    """A delay is followed by calls without a wait, but by a limited number of them."""
    worker, pauses = log.worker(period_s=lambda: 0.1), []
    worker.pause = pauses.append  # append returns None: the worker continues
    worker._waiting.append(0)
    with monkeypatch.context() as patch:
        patch.setattr(time, 'monotonic', lambda: 1000.0)
        for _ in range(8):
            assert worker._ready()
    assert pauses[0] == -1000
    assert pauses[1:] == pytest.approx([-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2])
