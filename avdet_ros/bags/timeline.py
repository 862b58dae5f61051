"""Timing of playback: bag time as a function of steady time.

Bag time runs ``rate`` times as fast as steady time, stands still while paused, and never passes a
message that has not been sent yet: a slow machine plays more slowly instead of letting ``/clock``
run ahead of the messages.
"""

from __future__ import annotations

from collections.abc import Collection
import math

from avdet_ros.bags.reader import Bag
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import IMAGE

FASTEST, SLOWEST = 100.0, 0.01

CHAIN_OUTPUTS = (
    'spectrogram',
    'detections',
    'tracks',
    'overlay',
    'markers',
    'label_info',
    'spectrogram_image',
)
"""Last names of topics that the nodes publish; playing them to running nodes would double them."""


class Timeline:
    """Converts steady time to bag time.

    Attributes:
        rate: bag seconds per steady second.
        paused: whether bag time stands still.
    """

    def __init__(self, start_ns: int, rate: float, steady_s: float) -> None:
        """Start at a bag time.

        Args:
            start_ns: bag time now.
            rate: from 0.01 to 100.
            steady_s: steady time now, seconds.

        Raises:
            AvdetError: the rate is out of range.
        """
        if not (math.isfinite(rate) and SLOWEST <= rate <= FASTEST):
            raise AvdetError(
                f'rate: expected a number from {SLOWEST:g} to {FASTEST:g}, found {rate:g}'
            )
        self.rate = rate
        self.paused = False
        self._anchor = (start_ns, steady_s)

    def now_ns(self, steady_s: float, limit_ns: int | None = None) -> int:
        """Return the bag time.

        Args:
            steady_s: steady time.
            limit_ns: receive time of the next message to send; bag time does not pass it.
        """
        start_ns, start_s = self._anchor
        if self.paused:
            return start_ns
        now_ns = start_ns + round((steady_s - start_s) * self.rate * 1e9)
        if limit_ns is not None and now_ns > limit_ns:
            self._anchor = (limit_ns, steady_s)
            return limit_ns
        return now_ns

    def toggle(self, steady_s: float) -> None:
        """Pause or resume."""
        self._anchor = (self.now_ns(steady_s), steady_s)
        self.paused = not self.paused

    def jump(self, bag_ns: int, steady_s: float) -> None:
        """Jump to another bag time, e.g. back to the beginning."""
        self._anchor = (bag_ns, steady_s)


def chain_topics(bag: Bag) -> tuple[list[str], bool]:
    """Return the topics to play to running nodes: all that they do not publish themselves.

    Args:
        bag: the recording.

    Returns:
        topics: full names.
        raw: whether the chain starts from raw sound rather than recorded spectrograms.

    Raises:
        AvdetError: the bag has neither sound nor spectrograms.
    """
    audio, recorded = bag.find('audio', IMAGE), bag.find('spectrogram', IMAGE)
    if audio is None and recorded is None:
        bag.require('/avdet/audio', IMAGE)
    keep = recorded if audio is None else None
    return [name for name in bag.topics if name == keep or not _made_by_nodes(name)], bool(audio)


def moved_topics(topics: Collection[str], source: str, namespace: str) -> dict[str, str]:
    """Rename a recording's topics for nodes in another namespace.

    Args:
        topics: full names.
        source: the recorded topic that the nodes start from; all topics in and below its
            namespace are renamed.
        namespace: namespace of the nodes, absolute or not.

    Returns:
        New full names by recorded name; empty if both namespaces are the same.
    """
    old_namespace, new_namespace = source.rpartition('/')[0], '/' + namespace.strip('/')
    new_namespace = new_namespace.rstrip('/')
    if old_namespace == new_namespace:
        return {}
    if not old_namespace:  # recorded at the root, among other programs' topics
        return {source: new_namespace + source}
    below = [name for name in topics if name.startswith(old_namespace + '/')]
    return {name: new_namespace + name.removeprefix(old_namespace) for name in below}


def _made_by_nodes(topic: str) -> bool:
    parts = topic.split('/')
    return parts[-1] in CHAIN_OUTPUTS or 'debug' in parts or topic in ('/diagnostics', '/clock')


def require_topics(bag: Bag, topics: Collection[str]) -> list[str]:
    """Return the named topics if the bag has them all.

    Raises:
        AvdetError: a topic is missing.
    """
    for name in topics:
        if name not in bag.topics:
            raise AvdetError(
                f'bag {bag.path}: {name}: expected a topic of the bag, '
                f'found only {", ".join(sorted(bag.topics))}'
            )
    return list(topics)
