"""Listens to a running graph for a while and says how late and how complete its tracks are.

A program of its own: ``python -m avdet_ros.nodes.probe --seconds 60`` in the graph's namespace
(``--ros-args -r __ns:=/avdet``) prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.node import Node
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray

from avdet_ros.messages.decode import stamp_ns
from avdet_ros.nodes import qos

COUNTERS = (
    'windows_out', 'windows_in', 'windows_dropped', 'windows_missed', 'windows_skipped',
    'samples_lost',
)  # fmt: skip


class Probe(Node):
    """Collects latencies, stamps and what the diagnostics count."""

    def __init__(self) -> None:
        """Subscribe to everything that is small."""
        super().__init__('probe')
        self.latency_ms: list[float] = []
        self.stamps_ns: list[int] = []
        self.counters: dict[str, dict[str, int]] = {}
        self.create_subscription(Float64, 'debug/latency_ms', self._on_latency, 50)
        self.create_subscription(Detection2DArray, 'tracks', self._on_tracks, qos.RESULTS)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50)

    def begin(self) -> None:
        """Forget what came so far."""
        self.latency_ms.clear()
        self.stamps_ns.clear()

    def _on_latency(self, message: Float64) -> None:
        self.latency_ms.append(message.data)

    def _on_tracks(self, message: Detection2DArray) -> None:
        self.stamps_ns.append(stamp_ns(message))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {value.key: value.value for value in status.values}
            counts = {key: int(values[key]) for key in COUNTERS if key in values}
            if counts:
                self.counters[status.name] = counts


def main() -> None:
    """Wait for tracks, let the graph settle, listen, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=60.0)
    parser.add_argument('--settle', type=float, default=3.0)
    parser.add_argument('--patience', type=float, default=60.0)
    own = [text for text in sys.argv[1:] if text != '--ros-args']
    own = own[: own.index('-r')] if '-r' in own else own
    arguments = parser.parse_args(own)
    rclpy.init(args=sys.argv)
    probe = Probe()

    def spin(seconds: float, until: object = None) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until and until()):
            rclpy.spin_once(probe, timeout_sec=0.1)

    spin(arguments.patience, until=lambda: len(probe.stamps_ns) > 0)
    spin(arguments.settle)
    probe.begin()
    before = json.loads(json.dumps(probe.counters))
    spin(arguments.seconds)
    print(
        json.dumps(
            {
                'latency_ms': probe.latency_ms,
                'stamps_ns': probe.stamps_ns,
                'before': before,
                'after': probe.counters,
            }
        )
    )
    probe.destroy_node()
    rclpy.try_shutdown()


if __name__ == '__main__':
    main()
