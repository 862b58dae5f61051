"""Ranges of the arrays and cameras in the training of a model for any array.

A model of contract 2 receives the geometry as an input, so it works with arrays that were not in
its training. How well it works outside the ranges of its training is unknown, so a rig outside
them is reported, not refused.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
import math

import numpy as np

from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.detection.steering import heading_rad
from avdet_ros.rig import Rig

Range = tuple[float, float]


@dataclass(frozen=True)
class TaughtRanges:
    """Lowest and highest values that were drawn in training.

    Attributes:
        aperture_m: largest distance between two live microphones, seen from above.
        spacing_m: smallest distance between the live microphones of a pair in the features.
        array_height_m: height of the array's centre above the road.
        field_of_view_deg: angle from the camera's heading to the image's edge, on the wider side.
        live_microphones: number of microphones that are not dead.
    """

    aperture_m: Range
    spacing_m: Range
    array_height_m: Range
    field_of_view_deg: Range
    live_microphones: Range = (8.0, 8.0)


RANGE_NAMES = tuple(field.name for field in fields(TaughtRanges))
"""Names of the attributes, which are also the keys in a model file."""


def values_of(rig: Rig) -> dict[str, float]:
    """Return a rig's value of each of `RANGE_NAMES`."""
    level_m = rig.microphones_m[:, :2]
    live_m = level_m[rig.alive]
    apart_m = np.linalg.norm(live_m[:, None] - live_m[None], axis=-1)
    pairs = [(i, j) for i, j in PAIRS if rig.alive[i] and rig.alive[j]]
    spacing_m = [float(np.linalg.norm(level_m[i] - level_m[j])) for i, j in pairs]
    return {
        'aperture_m': float(apart_m.max(initial=0.0)),
        'spacing_m': min(spacing_m, default=0.0),
        'array_height_m': float(rig.array_position_m[2]),
        'field_of_view_deg': _half_view_deg(rig),
        'live_microphones': float(rig.alive.sum()),
    }


def outside(ranges: TaughtRanges, rig: Rig) -> list[str]:
    """List the properties of a rig that lie outside the ranges of the model's training.

    Args:
        ranges: the ranges in training.
        rig: the vehicle's rig.

    Returns:
        One sentence for each value outside its range, e.g. ``aperture_m: expected 0.2 to 1.4 as
        the model was taught, found 2.1``. A hundredth beyond an end still counts as inside.
    """
    sentences = []
    for name, value in values_of(rig).items():
        low, high = getattr(ranges, name)
        slack = 0.01 * max(abs(low), abs(high))
        if not low - slack <= value <= high + slack:
            sentences.append(
                f'{name}: expected {low:g} to {high:g} as the model was taught, found {value:.3g}'
            )
    if _on_one_line(rig):
        sentences.append(
            'microphones: expected them spread over a plane, found all live ones on one line: '
            'sound from one side of it cannot be distinguished from the other side'
        )
    return sentences


def _half_view_deg(rig: Rig) -> float:
    camera = rig.camera
    heading = heading_rad(camera)
    row = np.array([[0.0, camera.cy], [float(camera.width_px), camera.cy]])
    edges = camera.directions(row)
    angles = np.arctan2(edges[:, 1], edges[:, 0]) - heading
    return float(np.degrees(np.abs(np.angle(np.exp(1j * angles))).max()))


def _on_one_line(rig: Rig) -> bool:
    """Whether the array of live microphones is less than a tenth as wide as it is long."""
    live_m = rig.microphones_m[rig.alive, :2]
    spread = np.linalg.svd(live_m - live_m.mean(axis=0), compute_uv=False)
    return bool(len(spread) < 2 or spread[1] < 0.1 * spread[0] or math.isclose(spread[0], 0.0))
