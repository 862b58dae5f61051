"""Count the windows, samples and identities lost from a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import itertools

import numpy as np

from avdet_ros.audio.window import HOP_S
from avdet_ros.detection.boxes import box_iou


@dataclass(frozen=True)
class Losses:
    """Losses between two instants.

    Attributes:
        windows: hops without tracks.
        samples: device samples that were in no message.
        jumps: identities whose boxes in consecutive messages do not overlap.
        ended: identities present at the start but not at the end.
    """

    windows: int
    samples: int
    jumps: int
    ended: int

    def __str__(self) -> str:
        """Return a phrase for a table."""
        parts = [f'{self.windows} windows', f'{self.samples} samples']
        if self.ended:
            parts.append(f'{self.ended} {"identity" if self.ended == 1 else "identities"} ended')
        parts.append(f'{self.jumps} jumped')
        return ', '.join(parts)


def missing_windows(stamps_ns: Sequence[int], hop_s: float = HOP_S) -> int:
    """Count the hops without a window between the first and the last."""
    unique = np.unique(np.asarray(stamps_ns, np.int64))
    if len(unique) < 2:
        return 0
    steps = np.round(np.diff(unique) / (hop_s * 1e9)).astype(int)
    return int(np.maximum(steps - 1, 0).sum())


def missing_samples(runs: Sequence[tuple[int, int]]) -> int:
    """Count the samples between the first and last run that are in no run (first, count)."""
    missing, next_sample = 0, None
    for sample, count in sorted(runs):
        if next_sample is not None:
            missing += max(0, sample - next_sample)
        next_sample = max(next_sample or 0, sample + count)
    return missing


def identities(boxes: Sequence[Mapping[str, np.ndarray]]) -> tuple[int, int]:
    """Count the identities that jumped between consecutive messages, and those that ended.

    Args:
        boxes: boxes by identity, for each message.

    Returns:
        Number of times that an identity's boxes in two consecutive messages do not overlap, and
        number of identities in the first non-empty message that are not in the last one.
    """
    non_empty = [entry for entry in boxes if entry]
    if not non_empty:
        return 0, 0
    jumps = 0
    for before, after in itertools.pairwise(boxes):
        for name in before.keys() & after.keys():
            overlap = box_iou(before[name][None], after[name][None])[0, 0]
            jumps += bool(overlap == 0)
    return jumps, len(non_empty[0].keys() - non_empty[-1].keys())
