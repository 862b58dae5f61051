"""Faults that occur on vehicles, injected into the running graph.

Every function takes a `GraphUnderTest`, injects one real fault, waits for the graph to report it
and to recover, and measures both. A report or a recovery that never comes raises `AvdetError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import resource
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from avdet_ros.bench.graph_under_test import GraphUnderTest, busy_cores, end
from avdet_ros.bench.small_disk import DISK_BYTES, small_disk

if TYPE_CHECKING:
    from avdet_ros.nodes.graph_monitor import Status

SIDE = '/side'
"""Namespace of nodes that run outside the graph."""


AGAIN_S = 5.0
"""Time after which a message without a reaction is sent again."""


@dataclass(frozen=True)
class Outcome:
    """Result of one fault.

    Attributes:
        fault: what was injected.
        happened: what the graph reported and did.
        recovered_s: time from the end of the cause to the next tracks, or to what `happened`
            names; None if nothing had to recover.
        lost: windows, samples and identities lost.
    """

    fault: str
    happened: str
    recovered_s: float | None
    lost: str


def quoted(status: Status, since_s: float) -> str:
    """Quote a node's diagnostics, with the delay since an instant."""
    return f'after {status.at_s - since_s:.1f} s: "{status.sentence}"'


def sound_server_killed(graph: GraphUnderTest) -> Outcome:
    """Kill the sound server with SIGKILL, and restart it after three seconds."""
    device = graph.device
    fault = 'sound server killed, started again 3 s later'
    return _without_server(graph, fault, 3.0, device.kill, device.start)


def sound_server_hangs(graph: GraphUnderTest) -> Outcome:
    """Let the sound server hang for five seconds."""
    device = graph.device
    return _without_server(graph, 'sound server hangs for 5 s', 5.0, device.freeze, device.thaw)


def _without_server(
    graph: GraphUnderTest,
    fault: str,
    seconds: float,
    take: Callable[[], None],
    give_back: Callable[[], None],
) -> Outcome:
    began_s = graph.settle()
    cut_s = time.monotonic()
    take()
    try:
        report = graph.wait_status('capture', 'trying again', cut_s)
        time.sleep(max(0.0, seconds - (time.monotonic() - cut_s)))
    finally:
        give_back()
    back_s = time.monotonic()
    first = graph.wait_tracks(back_s)
    graph.wait_steady()
    return Outcome(
        fault,
        f'capture reports {quoted(report, cut_s)}, and opens it again',
        first.at_s - back_s,
        str(graph.losses(began_s)),
    )


def fewer_channels(graph: GraphUnderTest) -> Outcome:
    """Unplug the device; it comes back with four channels, then with eight."""
    began_s = graph.settle()
    graph.device.kill()
    graph.device.start(channels=4)
    cut_s = time.monotonic()
    report = graph.wait_status('capture', 'are mixtures', cut_s)
    graph.device.kill()
    graph.device.start(channels=8)
    back_s = time.monotonic()
    recovered = graph.wait(
        lambda: (
            (status := graph.monitor.status('capture'))
            and status.at_s > back_s
            and status.level < 2  # a warning about lost windows is correct for some seconds
            and status
        ),
        'capture without errors',
    )
    graph.wait_steady()
    return Outcome(
        'device unplugged, back with 4 channels, then with 8',
        f'the sound server makes up the missing ones; capture reports {quoted(report, cut_s)}',
        recovered.at_s - back_s,
        str(graph.losses(began_s)),
    )


def detector_killed(graph: GraphUnderTest) -> Outcome:
    """Kill the detector with SIGKILL; the supervisor restarts it."""
    began_s = graph.settle()
    victim = graph.process('detector')
    cut_s = time.monotonic()
    victim.kill()
    victim.wait()
    graph.wait(
        lambda: graph.supervisor.processes.get('detector') not in (None, victim),
        'the detector to be started again',
    )
    first = graph.wait_tracks(time.monotonic())
    graph.wait_steady()
    report = graph.monitor.find_status('tracker', 'detections', cut_s)
    words = f'tracker reports {quoted(report, cut_s)}, and the' if report else 'the'
    return Outcome(
        'detector killed with SIGKILL',
        f'{words} node is started again; identities from before are not given again',
        first.at_s - cut_s,
        str(graph.losses(began_s)),
    )


def cores_busy(graph: GraphUnderTest, seconds: float = 10.0) -> Outcome:
    """Keep every core busy for ten seconds."""
    began_s = graph.settle()
    time.sleep(2)
    busy_s = time.monotonic()
    with busy_cores():
        time.sleep(seconds)
        quiet_s = time.monotonic()
    before_ms, during_ms = (
        graph.latency_ms(began_s)[: int((busy_s - began_s) * 10)],
        graph.latency_ms(busy_s),
    )
    usual_ms = max(2 * float(np.median(before_ms)), 200.0)
    graph.wait(
        lambda: (newest := graph.latency_ms(quiet_s)).size and newest[-1] < usual_ms,
        'latencies as before',
    )
    recovered_s = next(
        at_s for at_s, ms in graph.monitor.latency_ms if at_s >= quiet_s and ms < usual_ms
    )
    errors_ms = np.abs(graph.stamp_errors_ms(busy_s))
    return Outcome(
        f'every core busy for {seconds:g} s',
        f'latency p99 {np.percentile(during_ms, 99):.0f} ms '
        f'(before {np.percentile(before_ms, 99):.0f} ms); '
        f'stamp error p99 {np.percentile(errors_ms, 99):.2f} ms',
        recovered_s - quiet_s,
        str(graph.losses(began_s)),
    )


def provider_lost(graph: GraphUnderTest) -> Outcome:
    """Start a detector that should run on CUDA on a machine without it."""
    began_s = time.monotonic()
    process = graph.start_other(
        'detector',
        SIDE,
        {'spectrogram': f'{graph.namespace}/spectrogram'},
        {'CUDA_VISIBLE_DEVICES': ''},
        model=graph.model,
        providers=['cuda', 'cpu'],
    )
    name = f'{SIDE}/detector'
    report = graph.wait_status(name, 'CUDAExecutionProvider', began_s)
    working = graph.wait(
        lambda: (
            (status := graph.monitor.status(name))
            and int(status.values.get('windows_out', 0)) > 3
            and status
        ),
        'windows from the other detector',
    )
    end(process)
    return Outcome(
        'CUDA requested on a machine without it',
        f'detector reports "{report.sentence}" and works on {working.values["provider"]}',
        None,
        f'{working.values["windows_dropped"]} windows',
    )


def messages_malformed(graph: GraphUnderTest) -> Outcome:
    """Send wrong encodings, steps and sizes, NaN, no channels and 10,000 detections."""
    from avdet_ros.bench.malformed_messages import bad_detections, bad_sound, bad_spectrograms

    listener = graph.start_other('capture', SIDE, source='topic')
    began_s = graph.settle()
    before = {name: process.pid for name, process in graph.supervisor.processes.items()}
    refused = {}
    for topic, node, kinds in (
        (f'{graph.namespace}/spectrogram', 'detector', bad_spectrograms()),
        (f'{graph.namespace}/detections', 'tracker', bad_detections(time.time_ns())),
        (f'{SIDE}/audio', f'{SIDE}/capture', bad_sound()),
    ):
        refused[node] = _send_all(graph, topic, node, kinds)
    after = {name: process.pid for name, process in graph.supervisor.processes.items()}
    graph.wait_steady()
    losses = graph.losses(began_s)
    alive = before == after and listener.poll() is None
    end(listener)
    counts = ', '.join(f'{node.rsplit("/", 1)[-1]} {count}' for node, count in refused.items())
    return Outcome(
        'malformed messages on audio, spectrogram and detections',
        f'each refused with a sentence ({counts}); nodes '
        + ('stay up' if alive else 'were started again'),
        None,
        str(losses),
    )


def _send_all(graph: GraphUnderTest, topic: str, node: str, kinds: dict[str, Any]) -> int:
    """Publish each message until its node rejects it as expected; return their number."""
    kind = type(next(iter(kinds.values())))
    publisher = graph.monitor.publisher(kind, topic)
    graph.wait(publisher.get_subscription_count, f'a subscriber of {topic}')
    for words, message in kinds.items():
        began_s = sent_s = time.monotonic()
        publisher.publish(message)

        def refused(words: str = words, began_s: float = began_s, message: Any = message) -> Any:
            # A message sent before discovery is complete on both sides is lost.
            nonlocal sent_s
            if time.monotonic() - sent_s > AGAIN_S:
                publisher.publish(message)
                sent_s = time.monotonic()
            return graph.monitor.find_status(node, words, began_s)

        graph.wait(refused, f'diagnostics of {node} with {words!r}')
    graph.monitor.destroy(publisher)
    return len(kinds)


def disk_full(graph: GraphUnderTest) -> Outcome:
    """Record to a disk of 4 MB."""
    began_s = graph.settle()
    with small_disk() as (folder, kind):
        bag = folder / 'bag'
        process = graph.start_other('recorder', path=str(bag), topics=['audio', 'tracks'])
        if kind == 'limit':
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (DISK_BYTES, DISK_BYTES))
        report = graph.wait_status('recorder', 'the recording has ended', began_s)
        running = process.poll() is None
        status, _ = end(process)
        kept = _kept_messages(bag)
    losses = graph.losses(began_s)
    return Outcome(
        'disk full while recording' + (' (file size limit)' if kind == 'limit' else ''),
        f'recorder reports "{report.sentence}", {"stays up" if running else "ends"}, '
        f'exit status {status}; the bag opens with {kept} messages; the other nodes continue',
        None,
        f'what came after the disk was full; of the graph {losses}',
    )


def _kept_messages(bag: Path) -> int:
    from avdet_ros.bags.reader import Bag

    with Bag(bag) as opened:
        return sum(1 for _ in opened.messages(list(opened.topics)))


def two_captures(graph: GraphUnderTest) -> Outcome:
    """Let a second capture publish on the same topics, then end it."""
    began_s = graph.settle()
    other = graph.start_other('capture', source='simulation', duration_s=600.0)
    report = graph.wait_status('capture', 'nodes publish', began_s)
    detector_report = graph.wait_status('detector', 'several nodes publish', began_s)
    end(other)
    gone_s = time.monotonic()

    recovered = graph.wait(
        lambda: (
            (status := graph.monitor.status('detector'))
            and status.at_s > gone_s
            and 'several' not in status.sentence
            and status
        ),
        'detector to see one capture',
    )
    graph.wait_steady()
    jumps = graph.losses(began_s).jumps
    return Outcome(
        'two captures on one topic',
        f'capture reports "{report.sentence}", detector "{detector_report.sentence}"',
        recovered.at_s - gone_s,
        f'while both run, two drives are mixed: {jumps} identities jumped',
    )


FAULTS: dict[str, Callable[[GraphUnderTest], Outcome]] = {
    'sound server killed': sound_server_killed,
    'sound server hangs': sound_server_hangs,
    'fewer channels': fewer_channels,
    'detector killed': detector_killed,
    'cores busy': cores_busy,
    'provider lost': provider_lost,
    'malformed messages': messages_malformed,
    'full disk': disk_full,
    'two captures': two_captures,
}
"""Faults of a graph that uses the system clock, by name."""
