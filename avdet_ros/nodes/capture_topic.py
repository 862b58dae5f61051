"""Sound from topic `audio`: messages in, blocks on one time line out."""

from __future__ import annotations

import time

import numpy as np
from sensor_msgs.msg import Image

from avdet_ros.audio.sound_rate import RateWatch, other_rate
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_sound, stamp_ns
from avdet_ros.messages.stream import StampedBlocks
from avdet_ros.sources.base import Block, StampedBlock


class TopicSound:
    """The stream of sound on a topic.

    Attributes:
        last_s: monotonic time of the last message with sound; None before the first.
        restarts: how often another stream began, by its stamps or by `restart`.
    """

    def __init__(self, topic: str, sample_rate_hz: int) -> None:
        """Begin a stream; `topic` is for messages, the rate is that of the rig."""
        self.last_s: float | None = None
        self.restarts = 0
        self._topic, self._rate_hz = topic, sample_rate_hz
        self._blocks: StampedBlocks[np.ndarray] = StampedBlocks(sample_rate_hz)
        self._watch = RateWatch(sample_rate_hz)

    @property
    def wrong_stamps(self) -> int:
        """Number of blocks whose stamp fits no neighbour."""
        return self._blocks.wrong_stamps

    def take(self, message: Image) -> list[StampedBlock]:
        """Add a message; return the blocks whose place in time is known now, in order.

        Args:
            message: sound of the eight microphones, see `avdet_ros.messages.decode`.

        Raises:
            AvdetError: the message is no such sound, the stream begins without a stamp, or its
                sound has another sample rate than the rig's.
        """
        samples = decode_sound(message, self._topic)
        first_ns = stamp_ns(message)
        if first_ns <= 0 and not self._blocks.begun:
            raise AvdetError(f'{self._topic}: expected a stamp in the header, found {first_ns}')
        self.last_s = time.monotonic()
        if not self._watch.add(first_ns, len(samples)):
            other_hz = self._watch.other_hz or 0.0
            raise AvdetError(other_rate(self._topic, other_hz, self._rate_hz))
        blocks = []
        # A block with a doubtful stamp is returned later, in order, with the next ones.
        for place, part in self._blocks.add(first_ns, samples):
            self.restarts += place.restarted
            # Sample numbers restart with the stream; the window buffer detects it.
            block = Block(part, place.first_sample, self.last_s, place.lost)
            blocks.append(StampedBlock(block, place.time_ns))
        return blocks

    def restart(self) -> None:
        """Begin another stream, because ROS time has jumped under the stamps."""
        self.restarts += 1
        self._blocks.reset()
        self._watch.reset()
