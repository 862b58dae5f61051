"""Recordings as non-vehicle sounds: any folder of WAV, FLAC or OGG files.

At most the first `LONGEST_S` of each file are used, with all channels mixed. A recording is played
in a loop, at a given sound power.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from avdet_ros.errors import AvdetError
from avdet_ros.simulation.cnossos import BANDS_HZ
from avdet_ros.simulation.recordings import OVERSAMPLING, SHORTEST_S, SUFFIXES, Loop, loop_of
from avdet_ros.simulation.signals import Signal

LONGEST_S = 20.0
KEPT = 24
"""Number of loops kept in memory, at most 14 MB each."""

_SILENCE = np.full(8, -np.inf)


@dataclass(frozen=True)
class SoundFolder:
    """A folder of recordings, read when they are played.

    Attributes:
        paths: its files, sorted.
        sample_rate_hz: rate at which they are played.
    """

    paths: tuple[Path, ...]
    sample_rate_hz: int

    @classmethod
    def of(cls, folder: str | Path, sample_rate_hz: int) -> SoundFolder:
        """Find the recordings in a folder and its sub-folders.

        Raises:
            AvdetError: no folder, or no recording in it.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise AvdetError(f'{folder}: expected a folder of recordings, found none')
        paths = sorted(path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise AvdetError(f'{folder}: expected recordings ({", ".join(SUFFIXES)}), found none')
        return cls(tuple(paths), sample_rate_hz)

    def __len__(self) -> int:
        return len(self.paths)

    def loop(self, index: int) -> Loop:
        """Return a recording as a loop.

        Raises:
            AvdetError: it cannot be read, is shorter than `SHORTEST_S`, or silent.
        """
        return _loop(self.paths[index], self.sample_rate_hz)

    def bands_db(self, index: int) -> np.ndarray:
        """Return a recording's (8,) octave levels relative to its A-weighted total."""
        return _bands_db(self.paths[index], self.sample_rate_hz)


@dataclass(frozen=True, eq=False)
class RecordedSound:
    """A recording played at a place in the world; see `distractors.SoundSource`.

    Attributes:
        number: identifies it in the scene.
        start_m: (3,) world position at t = 0.
        velocity_mps: (3,) world velocity.
        folder: folder of the recording.
        index: its index in the folder.
        power_db_a: A-weighted sound power, dB re 1 pW.
        begin: position in the loop at t = 0, as a fraction.
    """

    number: int
    start_m: np.ndarray
    velocity_mps: np.ndarray
    folder: SoundFolder
    index: int
    power_db_a: float
    begin: float = 0.0

    @property
    def noise_only(self) -> bool:
        """See `distractors.SoundSource`."""
        return False

    @property
    def kind(self) -> str:
        """Name of its file."""
        return self.folder.paths[self.index].name

    def place(self, t_s: ArrayLike) -> np.ndarray:
        """Return world positions (..., 3)."""
        return self.start_m + np.asarray(t_s, np.float64)[..., None] * self.velocity_mps

    def bands_db(self, t_s: float) -> np.ndarray:
        """Return (8,) octave sound power of the whole recording, dB re 1 pW."""
        return self.folder.bands_db(self.index) + self.power_db_a

    def signal(
        self,
        key: tuple[int, int],
        sample_rate_hz: int,
        loss_db: Callable[[float], np.ndarray] | None,
    ) -> Signal:
        """See `distractors.SoundSource`."""
        loop = self.folder.loop(self.index)
        table = loop.table * np.float32(10 ** (self.power_db_a / 20))
        rate = 1 / loop.duration_s

        def phase(t_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self.begin + rate * t_s, np.full(np.shape(t_s), rate)

        return Signal(
            key,
            sample_rate_hz,
            lambda _: _SILENCE,
            loss_db,
            lambda *_: table,
            phase,
            filter_tones=True,
        )


@lru_cache(maxsize=KEPT)
def _loop(path: Path, sample_rate_hz: int) -> Loop:
    sound, rate = _read(path)
    sound = sound[: round(LONGEST_S * rate)]
    if len(sound) < SHORTEST_S * rate:
        raise AvdetError(
            f'{path}: expected at least {SHORTEST_S:g} s, found {len(sound) / rate:.2f} s'
        )
    return loop_of(path, sound, rate, sample_rate_hz, 1.0)


@lru_cache(maxsize=1024)
def _bands_db(path: Path, sample_rate_hz: int) -> np.ndarray:
    table = _loop(path, sample_rate_hz).table[:-1].astype(np.float64)
    energy = 2 * np.abs(np.fft.rfft(table)) ** 2 / len(table) ** 2
    frequency = np.fft.rfftfreq(len(table), 1 / (OVERSAMPLING * sample_rate_hz))
    octave = np.round(np.log2(np.maximum(frequency, 1.0) / BANDS_HZ[0]))
    found = [energy[octave == band].sum() for band in range(8)]
    return 10 * np.log10(np.maximum(found, 1e-20))


def _read(path: Path) -> tuple[np.ndarray, int]:
    """Read a file as (n,) float32, the mean of all channels, and return it with its rate."""
    try:
        try:
            import soundfile
        except ImportError:
            from scipy.io import wavfile

            rate, sound = wavfile.read(path)
            if sound.dtype.kind == 'i':
                sound = sound / np.float32(np.iinfo(sound.dtype).max)
        else:
            sound, rate = soundfile.read(path, dtype='float32')
    except (OSError, ValueError, RuntimeError) as error:
        raise AvdetError(f'{path}: expected a readable recording, found: {error}') from error
    sound = np.asarray(sound, np.float32)
    return (sound.mean(axis=1) if sound.ndim > 1 else sound), int(rate)
