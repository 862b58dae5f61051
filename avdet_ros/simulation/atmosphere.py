"""Absorption of sound by air."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

REFERENCE_PRESSURE_KPA = 101.325


def air_absorption_db_per_m(
    frequency_hz: ArrayLike,
    temperature_c: float = 20.0,
    humidity_percent: float = 60.0,
    pressure_kpa: float = REFERENCE_PRESSURE_KPA,
) -> np.ndarray:
    """Attenuation of a pure tone by the air (ISO 9613-1:1993, equations 3 to 5, B.2 and B.3).

    Args:
        frequency_hz: (...) frequencies.
        temperature_c: air temperature.
        humidity_percent: relative humidity.
        pressure_kpa: ambient pressure.

    Returns:
        (...) float64 dB per metre.
    """
    frequency = np.asarray(frequency_hz, np.float64)
    kelvin = temperature_c + 273.15
    ratio = kelvin / 293.15
    pressure = pressure_kpa / REFERENCE_PRESSURE_KPA
    saturation = 10 ** (-6.8346 * (273.16 / kelvin) ** 1.261 + 4.6151)
    water = humidity_percent * saturation / pressure  # molar concentration, per cent
    oxygen = pressure * (24 + 4.04e4 * water * (0.02 + water) / (0.391 + water))
    nitrogen = (
        pressure * ratio**-0.5 * (9 + 280 * water * np.exp(-4.170 * (ratio ** (-1 / 3) - 1)))
    )
    classical = 1.84e-11 / pressure * ratio**0.5
    vibration = 0.01275 * np.exp(-2239.1 / kelvin) / (oxygen + frequency**2 / oxygen)
    vibration += 0.1068 * np.exp(-3352.0 / kelvin) / (nitrogen + frequency**2 / nitrogen)
    return 8.686 * frequency**2 * (classical + ratio**-2.5 * vibration)
