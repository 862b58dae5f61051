"""Materials of surfaces: the properties that matter to the three cameras."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Material:
    """A kind of surface.

    Attributes:
        name: key in `INDEX`.
        gloss: fraction of the sky that it reflects in the visible band, 0 to 1.
        solar_k: warming above the air in full sun, kelvin.
        warm_k: warming on a vehicle that has been driven, kelvin.
        cold_sky: fraction of the cold sky that it reflects in the thermal band, facing up.
        unmatched: probability that a stereo matcher finds no match on it, dry and by day.
        unmatched_wet: the same when wet.
        glows: whether it is a lamp, which keeps its colour in the dark.
    """

    name: str
    gloss: float = 0.0
    solar_k: float = 12.0
    warm_k: float = 0.0
    cold_sky: float = 0.1
    unmatched: float = 0.02
    unmatched_wet: float = 0.1
    glows: bool = False


MATERIALS = (
    Material('asphalt', 0.0, 18, 0, 0.06, 0.04, 0.55),
    Material('marking', 0.0, 13, 0, 0.08, 0.01, 0.35),
    Material('grass', 0.0, 5, 0, 0.14, 0.01, 0.03),
    Material('pavement', 0.0, 15, 0, 0.08, 0.03, 0.3),
    Material('concrete', 0.0, 11, 0, 0.05, 0.05, 0.12),
    Material('facade', 0.0, 9, 0, 0.0, 0.03, 0.05),
    Material('pane', 0.35, 3, 0, 0.25, 0.35, 0.45),
    Material('roof', 0.0, 17, 0, 0.12, 0.02, 0.1),
    Material('wood', 0.0, 5, 0, 0.0, 0.02, 0.04),
    Material('leaves', 0.0, 2, 0, 0.02, 0.01, 0.02),
    Material('metal', 0.12, 8, 0, 0.12, 0.08, 0.15),
    Material('paint', 0.22, 16, 2.5, 0.16, 0.12, 0.3),
    Material('bonnet', 0.22, 15, 9, 0.14, 0.12, 0.3),
    Material('glass', 0.45, 5, 2.0, 0.3, 0.6, 0.7),
    Material('tyre', 0.0, 8, 19, 0.0, 0.15, 0.2),
    Material('rim', 0.25, 6, 14, 0.05, 0.15, 0.2),
    Material('grille', 0.05, 6, 17, 0.0, 0.2, 0.25),
    Material('plastic', 0.03, 9, 3, 0.02, 0.12, 0.2),
    Material('headlamp', 0.3, 5, 6, 0.05, 0.3, 0.4, True),
    Material('taillamp', 0.1, 5, 3, 0.05, 0.2, 0.3, True),
    Material('plate', 0.0, 6, 1, 0.05, 0.1, 0.15),
    Material('exhaust', 0.1, 6, 60, 0.0, 0.3, 0.3),
    Material('engine', 0.05, 8, 38, 0.0, 0.2, 0.2),
    Material('underbody', 0.0, 0, 10, 0.0, 0.3, 0.3),
    Material('cloth', 0.0, 6, 8, 0.0, 0.03, 0.06),
    Material('canvas', 0.05, 12, 0.5, 0.06, 0.12, 0.2),
    Material('lamp', 0.0, 5, 3, 0.0, 0.3, 0.3, True),
    Material('sign', 0.1, 8, 0, 0.1, 0.03, 0.06),
    Material('water', 0.0, 3, 0, 0.2, 0.6, 0.8),
)
"""All materials. The numbers are plausible orders of magnitude, not measurements."""

INDEX = {material.name: index for index, material in enumerate(MATERIALS)}


def column(attribute: str) -> np.ndarray:
    """(len(MATERIALS),) float32 values of one attribute, to be indexed by material."""
    return np.array([getattr(material, attribute) for material in MATERIALS], np.float32)
