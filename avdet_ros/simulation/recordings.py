"""Recorded sounds of engines and tyres in place of synthetic ones.

A folder contains mono loops as WAV, FLAC or OGG: ``engine*`` for engines, ``tyre*`` for tyres; at
least one of either. A name that ends in ``_<number>kmh`` gives the speed at which the loop was
recorded (default 50 km/h). Each vehicle gets one loop of each kind, played faster or slower with
the vehicle's speed, at the level of the vehicle's sound power.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
import re

import numpy as np
from scipy import fft

from avdet_ros.errors import AvdetError
from avdet_ros.simulation import cnossos
from avdet_ros.simulation.vehicles import Vehicle

SUFFIXES = ('.wav', '.flac', '.ogg')
OVERSAMPLING = 4
"""Oversampling factor of stored loops, so that linear interpolation adds no artefacts."""

SHORTEST_S, LONGEST_S = 0.5, 60.0
SEAM_S = 0.05
STANDING_MPS = 0.3
_SPEED = re.compile(r'_(\d+)kmh$')


@dataclass(frozen=True, eq=False)
class Loop:
    """One recording as a loop.

    Attributes:
        name: name of its file.
        table: (S + 1,) float32, A-weighted mean square 1, first sample repeated at the end.
        duration_s: length of the loop as recorded.
        speed_mps: speed at which it was recorded.
    """

    name: str
    table: np.ndarray
    duration_s: float
    speed_mps: float


@dataclass(frozen=True, eq=False)
class Recordings:
    """The loops of a folder, by role."""

    engines: tuple[Loop, ...]
    tyres: tuple[Loop, ...]


class Playback:
    """A loop played as a source of one vehicle, with the methods of `engine.Engine`."""

    def __init__(
        self,
        vehicle: Vehicle,
        loop: Loop,
        power_db: Callable[[float], float],
        second: bool = False,
    ) -> None:
        """Set up the playback.

        Args:
            vehicle: the vehicle.
            loop: the loop to play.
            power_db: maps a speed to the sound power, dB(A) re 1 pW.
            second: begin elsewhere in the loop, for a second source of the same vehicle.
        """
        self.vehicle, self.loop, self.power_db = vehicle, loop, power_db
        self.begin = 0.377 * vehicle.vehicle_id + 0.43 * second
        self.standing = abs(vehicle.motion.speed_mps) < STANDING_MPS

    def table(self, t_s: float, loss_db: np.ndarray) -> np.ndarray:
        """Return the loop at the level of a time; the signal applies the loss in air."""
        power = self.power_db(float(self.vehicle.speed_mps(t_s)))
        return self.loop.table * np.float32(10 ** (power / 20))

    def phase(self, t_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return loops, and loops per second; a standing vehicle plays at half speed."""
        begin = self.begin
        if self.standing:
            rate = 0.5 / self.loop.duration_s
            return begin + rate * t_s, np.full(np.shape(t_s), rate)
        motion = self.vehicle.motion
        ratio = np.sign(motion.speed_mps) / (self.loop.speed_mps * self.loop.duration_s)
        return begin + ratio * motion.along_m(t_s), ratio * motion.along_mps(t_s)


def choose(loops: tuple[Loop, ...], vehicle: Vehicle) -> Loop:
    """Choose the loop of a vehicle, the same at every call."""
    return loops[vehicle.vehicle_id * 7919 % len(loops)]


@lru_cache(maxsize=32)
def coloured(loop: Loop, colour_db: tuple[float, ...]) -> Loop:
    """Apply an equaliser to a loop and keep its A-weighted level.

    Args:
        loop: the recording.
        colour_db: (8,) gains of its octaves.
    """
    spectrum, octave, weight = _parts(loop)
    gain = np.interp(octave, np.arange(8), 10 ** (np.array(colour_db) / 20)).astype(np.float32)
    level_gain = np.linalg.norm(spectrum * weight) / np.linalg.norm(spectrum * weight * gain)
    # A length that is quick to transform; the loop's duration alone defines the table's rate.
    table = fft.irfft(spectrum * (gain * level_gain), fft.next_fast_len(len(loop.table), True))
    table *= len(table) / (len(loop.table) - 1)
    return replace(loop, table=np.append(table, table[:1]).astype(np.float32))


@lru_cache(maxsize=64)
def _parts(loop: Loop) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a loop's spectrum, and its bins' octaves above 63 Hz and A-weighting gains."""
    spectrum = fft.rfft(loop.table[:-1])
    frequency_hz = np.arange(len(spectrum)) / loop.duration_s
    octave = np.log2(np.maximum(frequency_hz, 1.0) / cnossos.BANDS_HZ[0]).astype(np.float32)
    return spectrum, octave, _a_weighting(frequency_hz).astype(np.float32)


def tyre_power_db(vehicle: Vehicle, speed_mps: float) -> float:
    """Return the A-weighted sound power of one axle's tyres."""
    return float(cnossos.a_weighted_db(vehicle.sound.rolling_db(speed_mps))) - 10 * np.log10(2)


def engine_power_db(vehicle: Vehicle, speed_mps: float) -> float:
    """Return the A-weighted sound power of the engine."""
    return float(cnossos.a_weighted_db(vehicle.sound.propulsion_db(speed_mps)))


def shuffled(loops: Recordings, seed: int) -> Recordings:
    """Shuffle the loops by a drive's seed, so that its vehicles choose other ones."""
    rng = np.random.default_rng([seed, 17])
    parts = (loops.engines, loops.tyres)
    return Recordings(*(tuple(part[i] for i in rng.permutation(len(part))) for part in parts))


def load_recordings(folder: str | Path, sample_rate_hz: int) -> Recordings:
    """Read a folder of loops.

    Args:
        folder: see the module.
        sample_rate_hz: rate at which the sound is rendered.

    Raises:
        AvdetError: no folder, no loop in it, or a file that is not a mono recording of 0.5 to
            60 s; the message names the file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise AvdetError(f'{folder}: expected a folder of recordings, found none')
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    loops: dict[str, list[Loop]] = {'engine': [], 'tyre': []}
    for path in paths:
        role = next((role for role in loops if path.stem.lower().startswith(role)), None)
        if role is None:
            raise AvdetError(f'{path}: expected a name that begins with engine or tyre')
        loops[role].append(_load(path, sample_rate_hz))
    if not paths:
        raise AvdetError(
            f'{folder}: expected recordings named engine* or tyre* ({", ".join(SUFFIXES)}), '
            'found none'
        )
    return Recordings(tuple(loops['engine']), tuple(loops['tyre']))


def _load(path: Path, sample_rate_hz: int) -> Loop:
    # imported here, so that drives without recordings work where soundfile is not installed
    import soundfile

    try:
        sound, rate = soundfile.read(path, dtype='float32', always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise AvdetError(f'{path} is not a readable recording: {error}') from error
    if sound.shape[1] != 1:
        raise AvdetError(f'{path}: expected one channel, found {sound.shape[1]}')
    sound = sound[:, 0]
    if not SHORTEST_S <= len(sound) / rate <= LONGEST_S:
        raise AvdetError(
            f'{path}: expected {SHORTEST_S:g} to {LONGEST_S:g} s, found {len(sound) / rate:.2f} s'
        )
    found = _SPEED.search(path.stem)
    speed = float(found.group(1)) / 3.6 if found else 50 / 3.6
    if not 1 <= speed <= 60:
        raise AvdetError(f'{path}: expected a speed of 4 to 216 km/h in the name')
    return loop_of(path, sound, rate, sample_rate_hz, speed)


def loop_of(
    path: Path, sound: np.ndarray, rate_hz: int, sample_rate_hz: int, speed_mps: float
) -> Loop:
    """Turn a recording into a seamless loop.

    Args:
        path: file, for messages.
        sound: (n,) float32 waveform.
        rate_hz: sample rate of the waveform.
        sample_rate_hz: rate at which it will be played.
        speed_mps: see `Loop`.

    Raises:
        AvdetError: it contains silence or values that are not numbers.
    """
    if not np.isfinite(sound).all() or np.ptp(sound) < 1e-6:
        raise AvdetError(f'{path}: expected sound, found silence or values that are not numbers')
    sound = sound - sound.mean()
    # the end cross-fades into the beginning, so that the loop has no seam
    seam = int(SEAM_S * rate_hz)
    ramp = np.linspace(0, 1, seam, dtype=np.float32)
    joined = sound[:-seam].copy()
    joined[:seam] = sound[:seam] * np.sqrt(ramp) + sound[-seam:] * np.sqrt(1 - ramp)
    # resample three repetitions; the middle one has no edge effects
    dense = _resampled(np.tile(joined, 3), rate_hz, OVERSAMPLING * sample_rate_hz)
    third = len(dense) // 3
    table = dense[third : 2 * third] / np.sqrt(_a_weighted_power(joined, rate_hz))
    table = np.append(table, table[0]).astype(np.float32)
    return Loop(path.name, table, len(joined) / rate_hz, speed_mps)


def _resampled(sound: np.ndarray, rate_hz: int, new_rate_hz: int) -> np.ndarray:
    try:
        import soxr
    except ImportError:
        from math import gcd

        from scipy.signal import resample_poly

        common = gcd(rate_hz, new_rate_hz)
        return resample_poly(sound, new_rate_hz // common, rate_hz // common)
    return soxr.resample(sound, rate_hz, new_rate_hz, quality='VHQ')


def _a_weighted_power(sound: np.ndarray, rate: int) -> float:
    """Return the mean square after A-weighting."""
    weight = _a_weighting(np.fft.rfftfreq(len(sound), 1 / rate))
    spectrum = np.abs(np.fft.rfft(sound.astype(np.float64))) * weight
    return float(max(2 * np.sum(spectrum**2) / len(sound) ** 2, 1e-12))


def _a_weighting(f: np.ndarray) -> np.ndarray:
    """Return the A-weighting gain at frequencies in hertz (IEC 61672-1, analytic form)."""
    weight = 1.2589 * 12194**2 * f**4
    weight /= (f**2 + 20.6**2) * (f**2 + 12194**2)
    weight /= np.sqrt((f**2 + 107.7**2) * (f**2 + 737.9**2))
    return weight
