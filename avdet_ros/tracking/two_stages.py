"""Linking in two stages: confident detections first, then doubtful ones with the remaining tracks.

These are the two stages of ByteTrack (Zhang et al., ECCV 2022). Each tracker defines its own cost
of a link.
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
        tracks: V tracks.
        scores: (D,) scores of the detections.
        high_threshold: detections above it are linked first.
        low_threshold: detections above it, up to the high one, continue the remaining tracks.
        cost: returns the (V, D) costs of linking tracks with the detections of these indices;
            infinite for a forbidden link. The sum over all links is minimised.
        correct: called with each linked track and the index of its detection.
        unlinked_cost: cost of a track without a detection.

    Returns:
        Indices of the linked detections.
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
