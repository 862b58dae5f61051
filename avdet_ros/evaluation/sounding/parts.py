"""Parts of the boxes that are scored separately, as a selector's errors differ between them.

A part of only one kind (parked vehicles are all inaudible) is scored against all boxes of the
other kind.
"""

from __future__ import annotations

import itertools

import numpy as np

from avdet_ros.evaluation.sounding.boxes import AUDIBLE, MASKED, NOTHING, SILENT, SeenBoxes

NEAR_PX = 100.0
"""Sound can hardly ever separate a box from another audible vehicle whose centre is closer than
this: 5.7 degrees in the middle of our camera's picture."""

DISTANCES_M = (0.0, 20.0, 40.0, 70.0)


def parts_of(boxes: SeenBoxes) -> dict[str, np.ndarray]:
    """Return the (N,) bool masks, by name, of the boxes over which each part is scored."""
    state, moves, seen = boxes.state, boxes.moves, boxes.seen
    audible, other = state == AUDIBLE, state != AUDIBLE
    # The truth states that a vehicle makes no sound, not why.
    silent = state == SILENT
    parts = {
        'all': np.ones(len(boxes), bool),
        'parked, silent': audible | (silent & ~boxes.electric),
        'electric, silent': audible | (silent & boxes.electric),
        'masked': audible | (state == MASKED),
        'idling': other | (audible & ~moves),
        'standing': ~moves,
        'moving': moves,
        'another sounds near': boxes.near_px < NEAR_PX,
        'none sounds near': boxes.near_px >= NEAR_PX,
        '1 vehicle': seen == 1,
        '2 vehicles': seen == 2,
        '3 or more': seen >= 3,
        'day': ~boxes.night,
        'night': boxes.night,
        'ego stands': boxes.ego_stands[boxes.frame],
        'ego drives': ~boxes.ego_stands[boxes.frame],
    }
    if (state == NOTHING).any():
        parts['no vehicle in it'] = audible | (state == NOTHING)
        parts['vehicles alone'] = state != NOTHING
    for near, far in itertools.pairwise(DISTANCES_M):
        inside = (boxes.distance_m >= near) & (boxes.distance_m < far)
        parts[f'{near:.0f} to {far:.0f} m'] = inside
    return parts


def shares(boxes: SeenBoxes) -> dict[str, float]:
    """Compute how wrong the assumption is that every visible vehicle sounds.

    Returns:
        Shares of the boxes: ``audible``, ``masked``, ``silent``, ``nothing``, ``standing``;
        share of the audible vehicles in the image: ``hidden``; shares of the frames:
        ``only audible``, ``both``, ``only inaudible``, ``none``.
    """
    box_count = max(len(boxes), 1)
    state, frames = boxes.state, len(boxes.frames)
    has_audible = np.bincount(boxes.frame[boxes.sounds], minlength=frames) > 0
    has_inaudible = np.bincount(boxes.frame[~boxes.sounds], minlength=frames) > 0
    audible = int((state == AUDIBLE).sum())
    return {
        'audible': audible / box_count,
        'masked': float((state == MASKED).sum()) / box_count,
        'silent': float((state == SILENT).sum()) / box_count,
        'nothing': float((state == NOTHING).sum()) / box_count,
        'standing': float((~boxes.moves).sum()) / box_count,
        'hidden': float(boxes.hidden.sum()) / max(audible + int(boxes.hidden.sum()), 1),
        'only audible': float((has_audible & ~has_inaudible).mean()),
        'both': float((has_audible & has_inaudible).mean()),
        'only inaudible': float((~has_audible & has_inaudible).mean()),
        'none': float((~has_audible & ~has_inaudible).mean()),
    }
