"""Linking in two stages: confident detections first, doubtful ones with the tracks left over.

The two stages of ByteTrack (Zhang et al., ECCV 2022). What makes a link more or less likely is
each tracker's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from scipy.optimize import linear_sum_assignment

T = TypeVar('T')


def link_in_two_stages(
    tracks: Sequence[T],
    scores: np.ndarray,
    high_threshold: float,
    low_threshold: float,
    cost: Callable[[Sequence[T], np.ndarray], np.ndarray],
    correct: Callable[[T, int], None],
    unlinked_cost: float = 0.0,
) -> set[int]:
    """Link tracks with a window's detections.

    Args:
        tracks: V of them.
        scores: (D,) of the detections.
        high_threshold: detections above it are linked first.
        low_threshold: those above it, up to the high one, continue the tracks left over.
        cost: of linking tracks with the detections of these numbers, (V, D); infinite where a
            link is not allowed. The least sum of all links is sought.
        correct: called with each track that is linked, and the number of its detection.
        unlinked_cost: what a track without a detection costs beside those links.

    Returns:
        numbers of the detections that were linked.
    """
    high = np.flatnonzero(scores > high_threshold)
    low = np.flatnonzero((scores > low_threshold) & (scores <= high_threshold))
    taken: set[int] = set()
    left = list(tracks)
    for indices in (high, low):
        if not left or not len(indices):
            continue
        costs = cost(left, indices)
        allowed = np.isfinite(costs)
        rows, columns = linear_sum_assignment(np.where(allowed, costs, unlinked_cost))
        linked = set()
        for row, column in zip(rows, columns, strict=True):
            if allowed[row, column]:
                index = int(indices[column])
                correct(left[row], index)
                linked.add(row)
                taken.add(index)
        left = [track for row, track in enumerate(left) if row not in linked]
    return taken
