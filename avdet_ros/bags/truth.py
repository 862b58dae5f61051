"""True boxes at any instant, from bags that contain ground truth, such as simulated drives."""

from __future__ import annotations

import bisect
from itertools import count

import numpy as np

from avdet_ros.bags.left_out import whole_messages
from avdet_ros.bags.reader import Bag
from avdet_ros.messages.decode import DETECTIONS, decode_detections, stamp_ns

APART_NS = 250_000_000
"""Maximum time between two messages for interpolation between them."""

_SAME_NS = 1_000_000


class RecordedTruth:
    """The `truth` topic of a bag."""

    def __init__(self, bag: Bag, topic: str) -> None:
        """Read the whole topic; it is small."""
        entries = {}
        identities: dict[str, int] = {}
        unknown = count(1)
        for decoded in whole_messages(bag, bag.require(topic, DETECTIONS).name):
            found, names = decode_detections(decoded)
            boxes: dict[int, np.ndarray] = {}
            for name, box in zip(names, found.boxes_px, strict=True):
                key = identities.setdefault(name, len(identities)) if name else -1
                boxes[-next(unknown) if key < 0 or key in boxes else key] = box
            entries[stamp_ns(decoded)] = boxes
        self._stamps = sorted(entries)
        self._boxes = [entries[stamp] for stamp in self._stamps]

    def at(self, instant_ns: int) -> tuple[np.ndarray, list[int]] | None:
        """Return the boxes at an instant, interpolated linearly between messages.

        Returns:
            boxes_px: (N, 4) float32.
            ids: identities, numbered by first appearance; -1 for a box without a name.
            None if the bag has no ground truth for the instant.
        """
        after = bisect.bisect_left(self._stamps, instant_ns)
        for near in (after, after - 1):
            if 0 <= near < len(self._stamps) and (
                abs(self._stamps[near] - instant_ns) <= _SAME_NS
            ):
                return _table(self._boxes[near])
        if not 0 < after < len(self._stamps):
            return None
        early, late = self._stamps[after - 1], self._stamps[after]
        if late - early > APART_NS:
            return None
        share = np.float32((instant_ns - early) / (late - early))
        old, new = self._boxes[after - 1], self._boxes[after]
        between = {
            name: (1 - share) * old[name] + share * new[name] for name in old if name in new
        }
        # A box that is in only one of the two messages is used in the half nearer to it.
        rest = new if share > 0.5 else old
        between |= {name: box for name, box in rest.items() if name not in between}
        return _table(between)


def _table(boxes: dict[int, np.ndarray]) -> tuple[np.ndarray, list[int]]:
    ids = [max(key, -1) for key in boxes]
    return np.array(list(boxes.values()), np.float32).reshape(-1, 4), ids
