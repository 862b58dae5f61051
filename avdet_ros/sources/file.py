"""Recordings as a source: WAV, FLAC, OGG or anything libsndfile reads, at any sample rate."""

from __future__ import annotations

import logging
from pathlib import Path
import time
from typing import Any

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.sources.base import BLOCK_SAMPLES, SOURCES, Block, Source
from avdet_ros.sources.wav_length import RestOfFile, wav_length

_logger = logging.getLogger(__name__)

_PIECES = (32, 1)
"""Frames read at a time before a damaged place: large pieces first, then up to its exact edge."""

_FIRST_LEAP_S = 0.05
_UNKNOWN_FRAMES = 1 << 48
_BROKEN = (RuntimeError, OSError, AvdetError)
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 4000, 384_000
"""Range of plausible sample rates; a header with another rate is damaged."""


@SOURCES.register
class FileSource(Source):
    """A sound file of eight channels in the order of the rig's microphones, see `Source`."""

    name = 'file'
    parameters = (
        Param('file', '', 'sound file with eight channels, for source file'),
        Param('loop', False, 'start the file again when it ends'),
    )

    def __init__(
        self, path: str | Path, sample_rate_hz: int, *, loop: bool = False, paced: bool = True
    ) -> None:
        """Open the file and check it.

        Args:
            path: the file.
            sample_rate_hz: sample rate of the blocks; a file with another rate is resampled.
            loop: start again at the end.
            paced: deliver blocks in real time; otherwise as fast as they are read.

        Raises:
            AvdetError: the file cannot be read, or does not have eight channels.
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
            self._frames = 0 if file.frames > _UNKNOWN_FRAMES else file.frames
            if file.frames == 0:
                raise AvdetError(f'{path}: expected sound, found a file without samples')
        notes = []
        if self._file_rate_hz != sample_rate_hz:
            notes.append(
                f'{path} is resampled from {self._file_rate_hz} Hz to the '
                f'{sample_rate_hz} Hz of the rig'
            )
        length = wav_length(self._path)
        self._cut = length.notice if length is not None and length.missing else ''
        if length is not None and length.notice:
            notes.append(f'{path}: {length.notice}')
        elif length is None and not self._frames:
            notes.append(f'{path}: its header leaves its length open')
        self.notice = '; '.join(notes)

    @classmethod
    def make(cls, rig: Rig, paced: bool, **settings: Any) -> FileSource:
        """See `Source.make`."""
        if not settings['file']:
            raise AvdetError('source file: expected the path of a sound file, found none')
        return cls(settings['file'], rig.sample_rate_hz, loop=settings['loop'], paced=paced)

    def start(self) -> None:
        """Open the file and start the clock, see `Source.start`."""
        self.stop()
        self._file = open_sound(self._path)
        self._resampler = None
        if self._file_rate_hz != self.sample_rate_hz:
            import soxr

            self._resampler = soxr.ResampleStream(
                self._file_rate_hz, self.sample_rate_hz, MICROPHONES, dtype=self._type
            )
        self.exhausted = False
        self.damage = ''
        self.bad_samples = self.lost_samples = 0
        self._next_sample = 0
        self._read_frames = 0
        self._lost = 0
        self._pending: np.ndarray | None = None
        self._started_s = time.monotonic()

    def read(self, timeout_s: float, samples: int = BLOCK_SAMPLES) -> Block | None:
        """Return the next block, see `Source.read`.

        Unreadable parts of a damaged file count as lost samples.
        """
        if self._file is None or self.exhausted:
            return None
        if self._pending is None:
            self._pending = self._next_block(samples)
        if self._pending is None:
            return None
        sound = self._pending[:samples]  # the resampler may have given more
        if self._paced and not self._wait(len(sound), timeout_s):
            return None
        self._pending = self._pending[len(sound) :] if len(sound) < len(self._pending) else None
        lost, self._lost = self._lost, 0
        self.lost_samples += lost
        first_sample = self._next_sample + lost
        self._next_sample = first_sample + len(sound)
        time_s = self._started_s + first_sample / self.sample_rate_hz
        return Block(sound, first_sample, time_s, lost)

    def stop(self) -> None:
        """Close the file, see `Source.stop`."""
        self._resampler = None  # if it outlives the interpreter, it is reported as a leak
        if self._file is not None:
            self._file.close()
            self._file = None

    def _wait(self, count: int, timeout_s: float) -> bool:
        """Wait until the block's last sample is due; return False if that exceeds the timeout."""
        end = self._next_sample + self._lost + count
        due_s = self._started_s + end / self.sample_rate_hz
        rest_s = due_s - time.monotonic()
        if rest_s > 0:
            time.sleep(max(0.0, min(rest_s, timeout_s)))
        return rest_s <= timeout_s

    def _next_block(self, count: int) -> np.ndarray | None:
        """Return the file's next samples at the rig's rate; None at its end."""
        file_count = max(1, round(count * self._file_rate_hz / self.sample_rate_hz))
        while True:
            samples = self._next_samples(file_count)
            at_end = len(samples) == 0
            if at_end and self._loop and self._read_frames:
                self._file.close()
                self._file, self._read_frames = open_sound(self._path), 0
                continue
            samples = self._mended(samples)
            if self._resampler is not None:
                samples = self._resampler.resample_chunk(samples, last=at_end)
            if at_end:
                self.exhausted = len(samples) == 0
                self._resampler = None
                self._frames_end()
                return samples if len(samples) else None
            if len(samples):
                return samples

    def _next_samples(self, count: int) -> np.ndarray:
        """Return the file's next samples, skipping damaged parts; none at its end."""
        try:
            samples = self._read(count)
        except _BROKEN:
            samples = self._behind_damage(count)
        self._read_frames += len(samples)
        return samples

    def _read(self, count: int) -> np.ndarray:
        return self._file.read(count, dtype=self._type, always_2d=True)

    def _behind_damage(self, count: int) -> np.ndarray:
        """Return the samples before the damage, else the first after it, else none."""
        nothing = np.zeros((0, MICROPHONES), self._type)
        if pieces := self._up_to_damage(count):
            return np.concatenate(pieces)
        if not self._frames:  # unknown length: the end cannot be distinguished from damage
            return nothing
        if not self.damage:
            at_s = self._read_frames / self._file_rate_hz
            self.damage = f'{self._path} is damaged at {at_s:.1f} s'
        leap = round(_FIRST_LEAP_S * self._file_rate_hz)
        while self._read_frames + leap < self._frames:
            try:
                self._open_at(self._read_frames + leap)
                samples = self._read(count)
            except _BROKEN:
                leap *= 2
                continue
            self._lost += round(leap * self.sample_rate_hz / self._file_rate_hz)
            self._read_frames += leap
            return samples
        return nothing

    def _up_to_damage(self, count: int) -> list[np.ndarray]:
        """Read the intact part of a broken block; the library returns a whole piece or nothing."""
        pieces: list[np.ndarray] = []
        whole = 0
        for size in _PIECES:
            try:
                self._open_at(self._read_frames + whole)
                while whole < count and len(piece := self._read(size)):
                    pieces.append(piece)
                    whole += len(piece)
            except _BROKEN:
                continue
        return pieces

    def _open_at(self, frame: int) -> None:
        self._file.close()
        self._file = open_sound(self._path)
        self._file.seek(frame)

    def _frames_end(self) -> None:
        """Record at the end how much shorter the file was than its header says."""
        read_s, whole_s = (n / self._file_rate_hz for n in (self._read_frames, self._frames))
        if self.damage and self.lost_samples + self._lost:
            lost_s = (self.lost_samples + self._lost) / self.sample_rate_hz
            self.damage += f'; {lost_s:.1f} s of it cannot be read'
        if read_s < whole_s - 0.5 / self._file_rate_hz:
            ends = f'it ends after {read_s:.1f} s of {whole_s:.1f} s'
            self.damage = f'{self.damage}; {ends}' if self.damage else f'{self._path}: {ends}'
        elif self._cut and not self.damage:
            self.damage = f'{self._path}: {self._cut}'

    def _mended(self, samples: np.ndarray) -> np.ndarray:
        if samples.dtype == np.float32:
            bad = ~np.isfinite(samples)
            count = int(np.count_nonzero(bad))
            if count:
                self.bad_samples += count
                samples[bad] = 0
        return samples


LONGEST_WHOLE_S = 1800.0
"""Longest recording that is read into memory as a whole: 2.5 GB."""


def read_whole(path: str | Path, sample_rate_hz: int, longest_s: float) -> np.ndarray:
    """Read a recording of eight channels into memory.

    Args:
        path: the file.
        sample_rate_hz: sample rate of the result.
        longest_s: maximum length; a longer file is refused.

    Returns:
        (n, 8) int16 or float32, see `Block`.

    Raises:
        AvdetError: the file cannot be read, does not have eight channels, or is too long.
    """
    with open_sound(path) as file:
        if longest_s * file.samplerate < file.frames < _UNKNOWN_FRAMES:
            raise AvdetError(
                f'{path}: expected a recording of at most {longest_s:g} s, '
                f'found {file.frames / file.samplerate:.0f} s'
            )
    source = FileSource(path, sample_rate_hz, paced=False)
    source.start()
    pieces = []
    while not source.exhausted:
        block = source.read(0.0)
        if block is None:
            continue
        if block.lost:
            pieces.append(np.zeros((block.lost, MICROPHONES), block.samples.dtype))
        pieces.append(block.samples)
        if (read := block.first_sample + len(block.samples)) > longest_s * sample_rate_hz:
            raise AvdetError(
                f'{path}: expected a recording of at most {longest_s:g} s, '
                f'found more than {read / sample_rate_hz:.0f} s'
            )
    source.stop()
    say_what_is_missing(source)
    if not pieces:
        raise AvdetError(f'{path}: expected sound, found a file whose samples cannot be read')
    return np.concatenate(pieces)


def say_what_is_missing(source: Source) -> None:
    """Log what is wrong with a file after it was read to its end."""
    for sentence in dict.fromkeys((source.notice, source.damage)):
        if sentence:
            _logger.warning('%s', sentence)


def open_sound(path: str | Path) -> Any:
    """Open a sound file; of a WAV file, all existing sound, whatever length its header says.

    A damaged FLAC file fails when the damaged part is read. OGG, AIFF and W64 files that are cut
    short end there without an error.

    Args:
        path: the file.

    Returns:
        An open `soundfile.SoundFile`.

    Raises:
        AvdetError: it cannot be read.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise AvdetError(f'{path}: expected a sound file, found none')
    try:
        file = soundfile.SoundFile(str(path))
        length = wav_length(path)
        if length is not None and length.subtype and length.frames != file.frames:
            file.close()
            file = soundfile.SoundFile(
                RestOfFile(path, length.start, length.frames * length.frame_bytes),
                samplerate=length.sample_rate_hz,
                channels=length.channels,
                subtype=length.subtype,
                format='RAW',
                endian='LITTLE',
            )
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, OSError) as error:
        raise AvdetError(f'cannot read {path} as a sound file: {_reason(error)}') from error
    try:
        if not LOWEST_RATE_HZ <= file.samplerate <= HIGHEST_RATE_HZ:
            raise AvdetError(
                f'{path}: expected a sample rate from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, '
                f'found {file.samplerate}'
            )
    except AvdetError:
        file.close()
        raise
    return file


def _reason(error: Exception) -> str:
    """Return the library's message without the path, which our message already names."""
    return one_line(getattr(error, 'error_string', error)).rstrip('.')
