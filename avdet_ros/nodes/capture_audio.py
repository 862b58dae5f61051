"""Topic `audio` of node capture: the blocks of a source, joined into messages."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image

from avdet_ros.messages.encode import encode_header, encode_sound
from avdet_ros.nodes import qos
from avdet_ros.nodes.lifecycle import AvdetNode
from avdet_ros.rig import Rig
from avdet_ros.sources.base import Block, StampedBlock

AUDIO_S = 0.02
"""Shortest message on topic audio; sources may read in smaller blocks."""


class AudioPublisher:
    """Publishes a stream of blocks without gaps inside a message; used on the source's thread."""

    def __init__(self, node: AvdetNode, rig: Rig) -> None:
        """Create the topic's publisher.

        Args:
            node: node that publishes.
            rig: sample rate and frame of the array.
        """
        self._node, self._rig = node, rig
        self._publisher = node.create_publisher(
            Image, 'audio', qos.OFFER_STREAM, qos_overriding_options=qos.overridable()
        )
        self._unpublished: list[Block] = []

    def take(self, stamped: StampedBlock, *, wanted: bool) -> None:
        """Take the next block; publish every 20 ms or more of sound while somebody subscribes.

        Args:
            stamped: the block and the times of its samples.
            wanted: whether to publish it; if not, earlier unpublished sound is dropped too.
        """
        if not self.is_wanted(wanted):
            self._unpublished = []
            return
        block = stamped.block
        if block.lost:
            self._publish(stamped)
        self._unpublished.append(block)
        count = sum(len(part.samples) for part in self._unpublished)
        if count >= AUDIO_S * self._rig.sample_rate_hz:
            self._publish(stamped)

    def is_wanted(self, wanted: bool) -> bool:
        """Whether publishing is wanted and somebody subscribes."""
        return wanted and self._publisher.get_subscription_count() > 0

    def clear(self) -> None:
        """Drop unpublished sound, since sample numbers begin at 0 again."""
        self._unpublished = []

    def destroy(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)

    def _publish(self, newest: StampedBlock) -> None:
        blocks, self._unpublished = self._unpublished, []
        if blocks:
            time_ns = newest.time_ns(blocks[0].first_sample)
            head = encode_header(time_ns, self._rig.array_frame_id)
            samples = np.concatenate([block.samples for block in blocks])
            self._publisher.publish(encode_sound(head, samples))
