"""What ``/clock`` may do to a graph that goes by it, see `avdet_ros.bench.faults`."""

from __future__ import annotations

from collections.abc import Callable
import time

from avdet_ros.bench.faults import Outcome, quoted
from avdet_ros.bench.graph_under_test import Vehicle


def clock_jumps(vehicle: Vehicle) -> Outcome:
    """``/clock`` a minute forward, then two back; the vehicle must go by it."""
    vehicle.settle()
    took_s = {}
    for by_s in (60.0, -120.0):
        vehicle.witness.move_clock(by_s)
        moved_s = time.monotonic()

        def follows(moved_s: float = moved_s) -> bool:
            heard = vehicle.witness.tracks
            newest = heard[-1] if heard else None
            now_s = vehicle.witness.clock_s()
            return newest and newest.at_s > moved_s and abs(newest.stamp_ns * 1e-9 - now_s) < 5

        vehicle.wait(follows, 'tracks in the new time')
        took_s[by_s] = time.monotonic() - moved_s
        vehicle.settle_after()
    tracker = vehicle.wait(
        lambda: (
            (status := vehicle.witness.status('tracker'))
            and int(status.values['time_jumps']) > 0
            and status
        ),
        'tracker to count the jump back',
    )
    return Outcome(
        '/clock jumps 60 s forward, then 120 s back',
        f'stamps follow ({took_s[60.0]:.1f} s, {took_s[-120.0]:.1f} s); tracker counts '
        f'{tracker.values["time_jumps"]} jump back and begins new identities',
        max(took_s.values()),
        'identities, on purpose',
    )


def clock_paused(vehicle: Vehicle, seconds: float = 5.0) -> Outcome:
    """``/clock`` stands still and goes on."""
    began_s = vehicle.settle()
    vehicle.witness.stop_clock()
    paused_s = time.monotonic()
    said = {
        node: vehicle.said(node, 'stands still', paused_s)
        for node in ('capture', 'detector', 'tracker')
    }
    time.sleep(max(0.0, seconds - (time.monotonic() - paused_s)))
    during = [entry for entry in vehicle.witness.tracks if entry.at_s > paused_s + 1.5]
    vehicle.witness.go_on_clock()
    back_s = time.monotonic()
    first = vehicle.tracked_after(back_s)
    vehicle.settle_after()
    losses = vehicle.losses(began_s)
    return Outcome(
        f'/clock paused for {seconds:g} s',
        f'capture says {quoted(said["capture"], paused_s)}, so do the others; '
        f'{len(during)} windows sent meanwhile',
        first.at_s - back_s,
        f'the sound of the pause; in ROS time {losses.windows} windows',
    )


CLOCK_FAULTS: dict[str, Callable[[Vehicle], Outcome]] = {
    'clock jumps': clock_jumps,
    'clock paused': clock_paused,
}
"""What is done to one that goes by ``/clock``."""
