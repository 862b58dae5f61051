"""Kinds of sounds other than road vehicles: spectra, powers, timing, places; all are estimates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SoundKind:
    """Properties of a kind of sound; pairs are minimum and maximum.

    Attributes:
        shape_db: (8,) octave levels relative to the total.
        power_db: total sound power, dB re 1 pW.
        beat_s: period of its modulation; 0, 0 for a steady sound.
        height_m: height above the ground.
        speed_mps: speed of its movement.
        nearest_m: minimum distance from the array.
        tone_hz: frequency of its lowest tone; 0, 0 for none.
        harmonics: number of tones.
        sweep: fraction by which its pitch rises and falls.
        sweep_s: period of the sweep.
    """

    shape_db: tuple[float, ...]
    power_db: tuple[float, float]
    beat_s: tuple[float, float]
    height_m: tuple[float, float]
    speed_mps: tuple[float, float]
    nearest_m: float = 4.0
    tone_hz: tuple[float, float] = (0.0, 0.0)
    harmonics: int = 0
    sweep: float = 0.0
    sweep_s: tuple[float, float] = (1.0, 1.0)


KINDS = {
    'speech': SoundKind(
        (-25, -12, -4, -1, -5, -9, -14, -20),
        (68, 85),
        (0.3, 0.9),
        (1.2, 1.8),
        (0, 2),
        4.0,
        (90, 250),
        20,
        0.2,
        (0.3, 1.5),
    ),
    'crowd': SoundKind((-22, -10, -3, -1, -4, -8, -13, -19), (80, 98), (0, 0), (1.2, 2), (0, 0)),
    'jackhammer': SoundKind(
        (-4, -5, -7, -7, -5, -4, -5, -8), (98, 112), (0.4, 3), (0.3, 1), (0, 0)
    ),
    'grinder': SoundKind(
        (-30, -25, -18, -12, -7, -3, -2, -4), (92, 106), (0.8, 4), (0.8, 1.2), (0, 0)
    ),
    'mower': SoundKind(
        (-6, -2, -2, -4, -6, -8, -12, -18),
        (88, 98),
        (0, 0),
        (0.3, 0.5),
        (0, 1.5),
        4.0,
        (40, 70),
        24,
    ),
    'blower': SoundKind((-14, -8, -4, -3, -4, -6, -8, -13), (92, 105), (0, 0), (1, 1.4), (0, 1.5)),
    'train': SoundKind(
        (-3, -3, -3, -3, -4, -8, -14, -22), (105, 118), (0, 0), (0.5, 1), (12, 35), 20.0
    ),
    'tram': SoundKind(
        (-4, -3, -2, -2, -5, -9, -15, -22), (97, 108), (0, 0), (0.4, 0.6), (4, 15), 5.0
    ),
    'aircraft': SoundKind(
        (-2, -2, -4, -7, -11, -17, -27, -40), (118, 130), (0, 0), (60, 90), (0, 40), 30.0
    ),
    'helicopter': SoundKind(
        (0, -3, -5, -8, -12, -18, -27, -40),
        (112, 125),
        (0, 0),
        (50, 80),
        (0, 30),
        30.0,
        (12, 28),
        30,
    ),
    'birds': SoundKind(
        (-60, -60, -50, -40, -20, -4, -3, -12),
        (70, 90),
        (0.3, 1.5),
        (3, 12),
        (0, 3),
        4.0,
        (2200, 5500),
        1,
        0.3,
        (0.15, 0.6),
    ),
    'dog': SoundKind(
        (-40, -25, -12, -3, -3, -8, -15, -24),
        (85, 100),
        (0.5, 1.5),
        (0.4, 0.6),
        (0, 2),
        4.0,
        (300, 700),
        6,
        0.2,
        (0.3, 0.6),
    ),
    'horn': SoundKind(
        (-40, -30, -12, -4, -2, -4, -10, -18),
        (100, 110),
        (0.6, 4),
        (0.6, 1),
        (0, 15),
        4.0,
        (330, 520),
        12,
    ),
    'siren': SoundKind(
        (-40, -30, -15, -4, -2, -5, -12, -20),
        (108, 118),
        (1, 4),
        (1.5, 2.5),
        (0, 20),
        4.0,
        (500, 900),
        8,
        0.35,
        (0.4, 5),
    ),
    'music': SoundKind(
        (-2, -2, -4, -6, -8, -10, -14, -20),
        (80, 98),
        (0.3, 0.6),
        (1, 3),
        (0, 0),
        4.0,
        (80, 440),
        12,
        0.02,
        (0.2, 0.5),
    ),
    'thunder': SoundKind(
        (0, -3, -7, -12, -19, -28, -38, -50), (125, 138), (3, 9), (80, 100), (0, 0), 40.0
    ),
    'ventilation': SoundKind(
        (4, 2, -1, -4, -7, -12, -18, -26), (75, 98), (0, 0), (0.5, 8), (0, 0)
    ),
    'water': SoundKind((-14, -12, -10, -8, -6, -5, -6, -8), (75, 95), (0, 0), (0, 1), (0, 0)),
    'impacts': SoundKind((-3, -5, -6, -6, -6, -7, -9, -12), (95, 112), (0.5, 4), (0.2, 3), (0, 0)),
}
"""Kinds of other sounds; their spectra and powers are our estimates."""


CARRIED = {
    'indicator': SoundKind(
        (-40, -35, -28, -20, -12, -6, -3, -5), (52, 72), (0.6, 0.8), (0.5, 1), (0, 0)
    ),
    'wipers': SoundKind(
        (-6, -4, -4, -6, -9, -12, -16, -22), (60, 80), (0.8, 2.0), (0.9, 1.3), (0, 0)
    ),
    'cabin': SoundKind((-4, -2, -4, -6, -8, -12, -18, -26), (60, 82), (0, 0), (0.8, 1.2), (0, 0)),
    'rattle': SoundKind(
        (-14, -10, -7, -5, -5, -6, -8, -12), (60, 84), (0.1, 0.5), (0.3, 1.2), (0, 0)
    ),
    'cooling': SoundKind(
        (-10, -6, -3, -3, -6, -10, -16, -24), (62, 82), (0, 0), (0.5, 0.8), (0, 0)
    ),
}
"""Sounds of the ego vehicle itself, other than its engine and tyres."""
