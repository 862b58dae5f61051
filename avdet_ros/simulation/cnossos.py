"""How loud road vehicles are: the sound power model of CNOSSOS-EU.

Levels are in octave bands with centres `BANDS_HZ`, in dB re 1 pW, for one vehicle on a dry, level
reference road. The power already includes the reflection on the road right under the vehicle, so
it spreads over a half sphere (see `pressure_level_db`).

Source: Directive (EU) 2015/996, annex 2.2, with the coefficients of Delegated Directive (EU)
2021/1226 (``year=2021``) or the original ones for light vehicles (``year=2015``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

BANDS_HZ = 62.5 * 2.0 ** np.arange(8)
"""(8,) float64 exact centres of the octave bands 63 Hz to 8 kHz."""

REFERENCE_SPEED_KMH = 70.0
LOWEST_ROLLING_KMH = 1.0
LOWEST_PROPULSION_KMH = 20.0
"""The propulsion equation is valid from 20 km/h; below, the level of 20 km/h is held."""

IDLE_DB = -6.0
"""Propulsion level of a standing vehicle, engine running, relative to 20 km/h (our estimate)."""

A_WEIGHTING_DB = np.array([-26.2, -16.1, -8.6, -3.2, 0.0, 1.2, 1.0, -1.1])
"""(8,) float64 A-weighting of the octave bands (IEC 61672-1)."""

ELECTRIC_PROPULSION_DB = np.array([0.0, -1.7, -4.2, -15.0, -15.0, -15.0, -13.8, 0.0])
"""(8,) float64 propulsion level of an electric light vehicle relative to a combustion engine."""

# category, year -> rolling A, B and propulsion A, B, each by octave band
_TABLE = {
    ('light', 2021): (
        (83.1, 89.2, 87.7, 93.1, 100.1, 96.7, 86.8, 76.2),
        (30.0, 41.5, 38.9, 25.7, 32.5, 37.2, 39.0, 40.0),
        (97.9, 92.5, 90.7, 87.2, 84.7, 88.0, 84.4, 77.1),
        (-1.3, 7.2, 7.7, 8.0, 8.0, 8.0, 8.0, 8.0),
    ),
    ('medium', 2021): (
        (88.7, 93.2, 95.7, 100.9, 101.7, 95.1, 87.8, 83.6),
        (30.0, 35.8, 32.6, 23.8, 30.1, 36.2, 38.3, 40.1),
        (105.5, 100.2, 100.5, 98.7, 101.0, 97.8, 91.2, 85.0),
        (-1.9, 4.7, 6.4, 6.5, 6.5, 6.5, 6.5, 6.5),
    ),
    ('heavy', 2021): (
        (91.7, 96.2, 98.2, 104.9, 105.1, 98.5, 91.1, 85.6),
        (30.0, 33.5, 31.3, 25.4, 31.8, 37.1, 38.6, 40.6),
        (108.8, 104.2, 103.5, 102.9, 102.6, 98.5, 93.8, 87.5),
        (0.0, 3.0, 4.6, 5.0, 5.0, 5.0, 5.0, 5.0),
    ),
    ('motorcycle', 2021): (
        (-np.inf,) * 8,
        (0.0,) * 8,
        (99.9, 101.9, 96.7, 94.4, 95.2, 94.7, 92.1, 88.6),
        (3.2, 5.9, 11.9, 11.6, 11.5, 12.6, 11.1, 12.0),
    ),
    ('light', 2015): (
        (79.7, 85.7, 84.5, 90.2, 97.3, 93.9, 84.1, 74.3),
        (30.0, 41.5, 38.9, 25.7, 32.5, 37.2, 39.0, 40.0),
        (94.5, 89.2, 88.0, 85.9, 84.2, 86.9, 83.3, 76.1),
        (-1.3, 7.2, 7.7, 8.0, 8.0, 8.0, 8.0, 8.0),
    ),
}
_COEFFICIENTS = {key: tuple(np.array(row) for row in rows) for key, rows in _TABLE.items()}

CATEGORIES = ('light', 'medium', 'heavy', 'motorcycle')


def rolling_db(category: str, speed_mps: ArrayLike, year: int = 2021) -> np.ndarray:
    """Rolling noise, L_WR = A_R + B_R lg(v / 70 km/h) (annex 2.2.3, without corrections).

    Args:
        category: one of `CATEGORIES`.
        speed_mps: (...) speed; below 1 km/h it counts as 1 km/h.
        year: 2021, or 2015 for light vehicles.

    Returns:
        (..., 8) float64 dB re 1 pW; -inf for motorcycles, which have none in the model.
    """
    a, b, _, _ = _COEFFICIENTS[category, year]
    kmh = np.maximum(np.abs(np.asarray(speed_mps, np.float64)) * 3.6, LOWEST_ROLLING_KMH)
    return a + b * np.log10(kmh / REFERENCE_SPEED_KMH)[..., None]


def propulsion_db(category: str, speed_mps: ArrayLike, year: int = 2021) -> np.ndarray:
    """Propulsion noise, L_WP = A_P + B_P (v - 70) / 70 (annex 2.2.4, without corrections).

    Args:
        category: one of `CATEGORIES`.
        speed_mps: (...) speed; from 20 km/h down to standstill the level falls to idling.
        year: 2021, or 2015 for light vehicles.

    Returns:
        (..., 8) float64 dB re 1 pW.
    """
    _, _, a, b = _COEFFICIENTS[category, year]
    kmh = np.abs(np.asarray(speed_mps, np.float64)) * 3.6
    valid = np.maximum(kmh, LOWEST_PROPULSION_KMH)
    idle = IDLE_DB * (1 - np.minimum(kmh / LOWEST_PROPULSION_KMH, 1))
    return (
        a + b * ((valid - REFERENCE_SPEED_KMH) / REFERENCE_SPEED_KMH)[..., None] + idle[..., None]
    )


def add_levels(*levels_db: ArrayLike) -> np.ndarray:
    """Energy sum of levels, 10 lg sum 10^(L/10), broadcasting."""
    energy = sum(10.0 ** (np.asarray(level, np.float64) / 10) for level in levels_db)
    with np.errstate(divide='ignore'):
        return 10 * np.log10(energy)


def a_weighted_db(bands_db: ArrayLike) -> np.ndarray:
    """Return the A-weighted sum of (..., 8) octave levels."""
    energy = np.sum(10.0 ** ((np.asarray(bands_db, np.float64) + A_WEIGHTING_DB) / 10), axis=-1)
    with np.errstate(divide='ignore'):
        return 10 * np.log10(energy)


def pressure_level_db(power_db: ArrayLike, distance_m: ArrayLike) -> np.ndarray:
    """Sound pressure level at a distance from a source on a hard road.

    L_p = L_W - 20 lg(r / 1 m) - 10 lg(2 pi): half-spherical spreading, because L_W includes the
    reflection of the road under the vehicle (annex 2.2.1).
    """
    return np.asarray(power_db) - 20 * np.log10(distance_m) - 10 * np.log10(2 * np.pi)
