"""Engine sound of one vehicle: harmonics whose pitch follows the speed, and broadband noise."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.signals import BLOCK, TABLE, TONAL_PART, harmonic_table
from avdet_ros.simulation.vehicles import Vehicle

HIGHEST_TONE_HZ = 2800.0
STANDING_MPS = 0.3
AVAS_UNTIL_MPS = 8.3
AVAS_POWER_DB = 66.0
"""Warning sound of electric cars: 52 dB(A) at 2 m."""

_STREAM = 77


class Engine:
    """Split of a vehicle's propulsion noise into tones and noise that keeps the octave levels.

    A cycle of a combustion engine is two revolutions, so the harmonic of order number of cylinders
    is the firing frequency. Its multiples are strong, the others weak and drawn per vehicle.
    An electric motor has a whine with few harmonics, and a warning sound at low speed.
    """

    def __init__(self, vehicle: Vehicle, seed: int, sample_rate_hz: int) -> None:
        """Draw the engine's tones.

        Args:
            vehicle: the vehicle.
            seed: seed of the drive.
            sample_rate_hz: sets the frequencies of the losses given to `table`.
        """
        self.vehicle, self.sound = vehicle, vehicle.sound
        self.standing = abs(vehicle.motion.speed_mps) < STANDING_MPS
        self.electric = self.sound.cylinders == 0
        speed = float(abs(vehicle.motion.speed_mps))
        self.cycle_hz = self.sound.idle_hz if self.standing else self.sound.cycles_per_m * speed
        rng = np.random.default_rng([seed, vehicle.vehicle_id, _STREAM])
        count = int(min(HIGHEST_TONE_HZ / max(self.cycle_hz, 1.0), TABLE // 16))
        order = np.arange(1, count + 1)
        weight_db = rng.normal(0, 3, count)
        if self.electric:
            weight_db += np.where(np.isin(order, (1, 2, 4, 8, 9, 16)), 0.0, -25.0)
        else:
            firing = order % self.sound.cylinders == 0
            weight_db += np.where(firing, 0.0, rng.uniform(-22, -9, count))
        octave = np.log2(np.maximum(order * self.cycle_hz, 1.0) / cnossos.BANDS_HZ[0])
        weight_db += 12 * np.minimum(octave + 0.5, 0)
        self.band = np.clip(np.round(octave), 0, 7).astype(int)
        self.octave = octave
        self.phases = rng.uniform(0, 2 * np.pi, count)
        weight = 10 ** (weight_db / 10)
        total = np.bincount(self.band, weight, minlength=8)
        self.share = weight / np.maximum(total[self.band], 1e-30)
        has_tone = total > 1e-4 * max(total.max(), 1e-30)
        tonal = TONAL_PART * self.sound.tonal_share
        self.tonal = np.where(has_tone, tonal, 0.0) if count else np.zeros(8)
        self.avas = np.exp(-0.5 * ((octave - 3.2) / 0.6) ** 2) * np.isin(order % 4, (0, 3))
        self.avas = self.avas / max(self.avas.sum(), 1e-9)
        self.bin = np.round(order * self.cycle_hz * BLOCK / sample_rate_hz).astype(int)

    def noise_db(self, t_s: float | np.ndarray) -> np.ndarray:
        """Return (..., 8) octave sound power levels of the noise part, dB re 1 pW."""
        level = self.sound.propulsion_db(self.vehicle.speed_mps(t_s))
        return level + 10 * np.log10(1 - self.tonal)

    def phase(self, t_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cycles, and cycles per second, at times (...)."""
        if self.standing:
            return self.sound.idle_hz * t_s, np.full(np.shape(t_s), self.sound.idle_hz)
        motion, way = self.vehicle.motion, np.sign(self.vehicle.motion.speed_mps)
        ratio = self.sound.cycles_per_m * way
        return ratio * motion.along_m(t_s), ratio * motion.along_mps(t_s)

    def table(self, t_s: float, loss_db: np.ndarray) -> np.ndarray | None:
        """Return the wave table of one cycle at a time, in sqrt(pW), after a loss by frequency."""
        if len(self.band) == 0:
            return None
        speed = self.vehicle.speed_mps(t_s)
        energy = 10 ** (self.sound.propulsion_db(speed) / 10) * self.tonal
        power = energy[self.band] * self.share
        if self.electric and 0.5 < speed < AVAS_UNTIL_MPS and self.sound.running:
            power = power + self.avas * 10 ** (AVAS_POWER_DB / 10)
        if not power.any():
            return None
        power = power * 10 ** (-loss_db[np.minimum(self.bin, len(loss_db) - 1)] / 10)
        return harmonic_table(np.sqrt(2 * power), self.phases)
