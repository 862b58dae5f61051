"""Recordings as a source: WAV, FLAC, OGG, whatever libsndfile reads, of any sample rate."""

from __future__ import annotations

from pathlib import Path
import time
from typing import Any

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.sources.base import SOURCES, Block, Source

BLOCK_S = 0.02
"""Length of the blocks that are read."""

_MOST_CHUNKS = 1000

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 4000, 384_000
"""A header with a rate outside this range is damaged."""


@SOURCES.register
class FileSource(Source):
    """A sound file of eight channels in the order of the rig's microphones, see `Source`."""

    name = 'file'
    parameters = (
        Param('file', '', 'sound file of eight channels, for source file'),
        Param('loop', False, 'begin the file again when it ends'),
    )

    def __init__(
        self, path: str | Path, sample_rate_hz: int, *, loop: bool = False, paced: bool = True
    ) -> None:
        """Open the file and check it.

        Args:
            path: the file.
            sample_rate_hz: rate of the blocks; a file of another one is resampled.
            loop: begin again at its end.
            paced: hand out blocks in real time; else as fast as they are read.

        Raises:
            AvdetError: the file cannot be read, is cut short, or has not eight channels.
        """
        super().__init__(str(path), sample_rate_hz)
        self._path, self._loop, self._paced = Path(path), loop, paced
        self._file: Any = None
        with open_sound(path) as file:
            self._file_rate_hz = file.samplerate
            self._type = 'int16' if file.subtype in ('PCM_16', 'PCM_S8', 'PCM_U8') else 'float32'
            if file.channels != MICROPHONES:
                raise AvdetError(
                    f'{path}: expected {MICROPHONES} channels, one a microphone, '
                    f'found {file.channels}'
                )
            if file.frames == 0:
                raise AvdetError(f'{path}: expected sound, found a file without samples')
        if self._file_rate_hz != sample_rate_hz:
            self.notice = (
                f'{path} is resampled from {self._file_rate_hz} Hz to the '
                f'{sample_rate_hz} Hz of the rig'
            )

    @classmethod
    def make(cls, rig: Rig, paced: bool, **settings: Any) -> FileSource:
        """See `Source.make`."""
        if not settings['file']:
            raise AvdetError('source file: expected the path of a sound file, found none')
        return cls(settings['file'], rig.sample_rate_hz, loop=settings['loop'], paced=paced)

    def start(self) -> None:
        """Open the file and set the clock going, see `Source.start`."""
        self.stop()
        self._file = open_sound(self._path)
        self._resampler = None
        if self._file_rate_hz != self.sample_rate_hz:
            import soxr

            self._resampler = soxr.ResampleStream(
                self._file_rate_hz, self.sample_rate_hz, MICROPHONES, dtype=self._type
            )
        self.exhausted = False
        self.bad_samples = 0
        self._next_sample = 0
        self._pending: np.ndarray | None = None
        self._started_s = time.monotonic()

    def read(self, timeout_s: float) -> Block | None:
        """The next block, see `Source.read`.

        Raises:
            AvdetError: the file turns out to be damaged.
        """
        if self._file is None or self.exhausted:
            return None
        if self._pending is None:
            self._pending = self._more()
        if self._pending is None:
            return None
        samples = self._pending
        if self._paced and not self._wait(len(samples), timeout_s):
            return None
        self._pending = None
        first_sample = self._next_sample
        self._next_sample += len(samples)
        time_s = self._started_s + first_sample / self.sample_rate_hz
        return Block(samples, first_sample, time_s)

    def stop(self) -> None:
        """Close the file, see `Source.stop`."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _wait(self, count: int, timeout_s: float) -> bool:
        """Wait until the block's last sample is due; False if that is beyond the timeout."""
        due_s = self._started_s + (self._next_sample + count) / self.sample_rate_hz
        rest_s = due_s - time.monotonic()
        if rest_s > 0:
            time.sleep(max(0.0, min(rest_s, timeout_s)))
        return rest_s <= timeout_s

    def _more(self) -> np.ndarray | None:
        """The next samples of the file at the rig's rate, or None at its end."""
        import soundfile

        while True:
            try:
                samples = self._file.read(
                    round(BLOCK_S * self._file_rate_hz), dtype=self._type, always_2d=True
                )
                at_end = len(samples) == 0
                if at_end and self._loop:
                    self._file.seek(0)
                    continue
            except (soundfile.SoundFileError, RuntimeError) as error:
                raise AvdetError(f'{self._path} is damaged: {_reason(error)}') from error
            samples = self._mended(samples)
            if self._resampler is not None:
                samples = self._resampler.resample_chunk(samples, last=at_end)
            if at_end:
                self.exhausted = len(samples) == 0
                self._file.seek(0, 2)
                self._resampler = None
                return samples if len(samples) else None
            if len(samples):
                return samples

    def _mended(self, samples: np.ndarray) -> np.ndarray:
        if samples.dtype == np.float32:
            bad = ~np.isfinite(samples)
            count = int(np.count_nonzero(bad))
            if count:
                self.bad_samples += count
                samples[bad] = 0
        return samples


LONGEST_WHOLE_S = 1800.0
"""Longest recording that is read into memory at once: 2.5 GB."""


def read_whole(path: str | Path, sample_rate_hz: int, longest_s: float) -> np.ndarray:
    """Read a recording of eight channels into memory.

    Args:
        path: the file.
        sample_rate_hz: rate to have it at.
        longest_s: a longer file is refused.

    Returns:
        (n, 8) int16 or float32, see `Block`.

    Raises:
        AvdetError: the file cannot be read, has not eight channels, or is too long.
    """
    with open_sound(path) as file:
        if file.frames > longest_s * file.samplerate:
            raise AvdetError(
                f'{path}: expected a recording of at most {longest_s:g} s, '
                f'found {file.frames / file.samplerate:.0f} s'
            )
    source = FileSource(path, sample_rate_hz, paced=False)
    source.start()
    pieces = []
    while not source.exhausted:
        block = source.read(0.0)
        if block is not None:
            pieces.append(block.samples)
    source.stop()
    if not pieces:
        raise AvdetError(f'{path}: expected sound, found a file whose samples cannot be read')
    return np.concatenate(pieces)


def open_sound(path: str | Path) -> Any:
    """Open a sound file, and check that a WAV file is whole.

    Of the other formats, FLAC fails where it is damaged, when that is read; OGG, AIFF and W64 end
    where they are cut short, without an error.

    Args:
        path: the file.

    Returns:
        An open `soundfile.SoundFile`.

    Raises:
        AvdetError: it cannot be read, or a WAV file's header promises what it does not hold.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise AvdetError(f'{path}: expected a sound file, found none')
    try:
        file = soundfile.SoundFile(str(path))
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, OSError) as error:
        raise AvdetError(f'cannot read {path} as a sound file: {_reason(error)}') from error
    try:
        if not LOWEST_RATE_HZ <= file.samplerate <= HIGHEST_RATE_HZ:
            raise AvdetError(
                f'{path}: expected a sample rate from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, '
                f'found {file.samplerate}'
            )
        missing = missing_bytes(path)
        if missing > 0:
            raise AvdetError(
                f'{path} is cut short: its header promises {missing} bytes of sound more than '
                f'the file holds'
            )
    except AvdetError:
        file.close()
        raise
    return file


def missing_bytes(path: Path) -> int:
    """How many bytes a RIFF file's data chunk lacks; 0 for whole files and other formats.

    libsndfile reads such a file to where it ends without an error.

    Args:
        path: a readable file.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(12)
        if head[:4] != b'RIFF' or head[8:] != b'WAVE':
            return 0
        for _ in range(_MOST_CHUNKS):
            header = file.read(8)
            length = int.from_bytes(header[4:], 'little')
            if header[:4] == b'data':
                # Programs that write to a pipe cannot know the length and promise the greatest.
                endless = length >= 0x7FFFFF00
                return 0 if endless else max(0, length - (size - file.tell()))
            if length > size:
                return 0
            file.seek(length + length % 2, 1)
    return 0


def _reason(error: Exception) -> str:
    """The library's words without the path, which the sentence names already."""
    return one_line(getattr(error, 'error_string', error)).rstrip('.')
