"""Faults of ``/clock``, injected into a graph that uses it; see `avdet_ros.bench.faults`."""

from __future__ import annotations

from collections.abc import Callable
import time

from avdet_ros.bench.faults import Outcome, quoted
from avdet_ros.bench.graph_under_test import GraphUnderTest


def clock_jumps(graph: GraphUnderTest) -> Outcome:
    """Let ``/clock`` jump one minute forward, then two minutes back."""
    graph.settle()
    took_s = {}
    for by_s in (60.0, -120.0):
        graph.monitor.move_clock(by_s)
        moved_s = time.monotonic()

        def follows(moved_s: float = moved_s) -> object:
            tracks = graph.monitor.tracks
            newest = tracks[-1] if tracks else None
            now_s = graph.monitor.clock_s()
            return newest and newest.at_s > moved_s and abs(newest.stamp_ns * 1e-9 - now_s) < 5

        graph.wait(follows, 'tracks in the new time')
        took_s[by_s] = time.monotonic() - moved_s
        graph.wait_steady()
    tracker = graph.wait(
        lambda: (
            (status := graph.monitor.status('tracker'))
            and int(status.values['time_jumps']) > 0
            and status
        ),
        'tracker to count the jump back',
    )
    return Outcome(
        '/clock jumps 60 s forward, then 120 s back',
        f'stamps follow ({took_s[60.0]:.1f} s, {took_s[-120.0]:.1f} s); tracker counts '
        f'{tracker.values["time_jumps"]} jump back and starts new identities',
        max(took_s.values()),
        'identities, on purpose',
    )


def clock_paused(graph: GraphUnderTest, seconds: float = 5.0) -> Outcome:
    """Stop ``/clock`` for a while, then resume it."""
    began_s = graph.settle()
    graph.monitor.stop_clock()
    paused_s = time.monotonic()
    reports = {
        node: graph.wait_status(node, 'stands still', paused_s)
        for node in ('capture', 'detector', 'tracker')
    }
    time.sleep(max(0.0, seconds - (time.monotonic() - paused_s)))
    during = [entry for entry in graph.monitor.tracks if entry.at_s > paused_s + 1.5]
    graph.monitor.go_on_clock()
    back_s = time.monotonic()
    first = graph.wait_tracks(back_s)
    graph.wait_steady()
    losses = graph.losses(began_s)
    return Outcome(
        f'/clock paused for {seconds:g} s',
        f'capture reports {quoted(reports["capture"], paused_s)}, so do the others; '
        f'{len(during)} windows sent meanwhile',
        first.at_s - back_s,
        f'the sound of the pause; in ROS time {losses.windows} windows',
    )


CLOCK_FAULTS: dict[str, Callable[[GraphUnderTest], Outcome]] = {
    'clock jumps': clock_jumps,
    'clock paused': clock_paused,
}
"""Faults of a graph that uses ``/clock``, by name."""
