"""Determine how much sound a WAV file really contains, regardless of its header.

The length field has 32 bits and is written last, so it may be wrong. If the recorder was killed,
it is 0 or a minute old. If the recorder wrote to a pipe, it is the largest number. Beyond 4 GiB it
overflows. An interrupted copy contains less than the header says.
"""

from __future__ import annotations

from dataclasses import dataclass
import io
from pathlib import Path
from typing import Any, BinaryIO

_MOST_CHUNKS = 1000
_OPEN = 0x7FFFFF00
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_SUBTYPES = {
    (_PCM, 8): 'PCM_U8',
    (_PCM, 16): 'PCM_16',
    (_PCM, 24): 'PCM_24',
    (_PCM, 32): 'PCM_32',
    (_FLOAT, 32): 'FLOAT',
    (_FLOAT, 64): 'DOUBLE',
}


@dataclass(frozen=True)
class WavLength:
    """Position, length and format of the sound in a WAV file.

    Attributes:
        start: offset of its first byte.
        declared: length in bytes according to the header; 0 if the header leaves it open.
        held: number of bytes that exist.
        frame_bytes: bytes of one sample of all channels.
        channels: number of channels.
        sample_rate_hz: sample rate in the header.
        subtype: libsndfile's name of the encoding; '' if it is not plain samples.
    """

    start: int
    declared: int
    held: int
    frame_bytes: int
    channels: int
    sample_rate_hz: int
    subtype: str

    @property
    def frames(self) -> int:
        """Number of complete samples that exist."""
        return self.held // self.frame_bytes

    @property
    def missing(self) -> int:
        """Number of bytes that are missing compared with the header."""
        return max(0, self.declared - self.held)

    @property
    def notice(self) -> str:
        """What is wrong with the header, in seconds; '' if nothing is."""
        rate = self.sample_rate_hz * self.frame_bytes
        held = f'{self.held / rate:.1f} s'
        if not self.declared:
            return f'its header leaves its length open; the file holds {held}'
        if abs(self.declared - self.held) >= self.frame_bytes:
            words = 'the rest is missing' if self.missing else 'all of it is read'
            return f'its header says {self.declared / rate:.1f} s, the file holds {held}: {words}'
        return ''


def wav_length(path: Path) -> WavLength | None:
    """Find the sound in a WAV or RF64 file from its chunks.

    Args:
        path: a readable file.

    Returns:
        Position and length of the sound; None for other formats and for invalid headers.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(12)
        if head[:4] not in (b'RIFF', b'RF64') or head[8:] != b'WAVE':
            return None
        layout, long_size = b'', 0
        for _ in range(_MOST_CHUNKS):
            header = file.read(8)
            length = int.from_bytes(header[4:], 'little')
            if len(header) < 8:
                return None
            if header[:4] == b'data':
                return _length(file, size, length, long_size, layout)
            if length > size:
                return None
            if header[:4] == b'ds64':
                long_size = int.from_bytes(file.read(length)[8:16], 'little')
            elif header[:4] == b'fmt ':
                layout = file.read(min(length, 64))
                file.seek(max(0, length - len(layout)), io.SEEK_CUR)
            else:
                file.seek(length, io.SEEK_CUR)
            file.seek(length % 2, io.SEEK_CUR)
    return None


def _length(
    file: BinaryIO, size: int, declared: int, long_size: int, layout: bytes
) -> WavLength | None:
    """Return the length of the sound chunk that starts at the file's current position."""
    if len(layout) < 16:
        return None
    tag, channels, rate_hz, frame, bits = (
        int.from_bytes(layout[a:b], 'little')
        for a, b in ((0, 2), (2, 4), (4, 8), (12, 14), (14, 16))
    )
    if tag == _EXTENSIBLE and len(layout) >= 26:
        tag = int.from_bytes(layout[24:26], 'little')
    subtype = _SUBTYPES.get((tag, bits), '') if frame * 8 == channels * bits else ''
    if not frame or not channels or not rate_hz:
        return None
    start = file.tell()
    available = size - start
    if declared == 0xFFFFFFFF and long_size:
        declared = long_size
    held = min(declared, available)
    if declared >= _OPEN and available < declared:
        declared, held = 0, available
    elif declared < available and not _chunks_follow(file, start + declared, size, frame):
        declared, held = (declared, available)
    return WavLength(start, declared, held, frame, channels, rate_hz, subtype)


def _chunks_follow(file: BinaryIO, at: int, size: int, frame: int) -> bool:
    """Return whether the sound is followed by other chunks or less than a sample of padding."""
    at += at % 2 if size - at >= 8 else 0
    if size - at < max(frame, 8):
        return True
    for _ in range(_MOST_CHUNKS):
        if size - at < 8:
            return True
        file.seek(at)
        header = file.read(8)
        length = int.from_bytes(header[4:], 'little')
        if not (header[:4].isascii() and header[:4].decode('ascii').isprintable()):
            return False
        at += 8 + length + length % 2
        if at > size + 1:
            return False
    return True


class RestOfFile(io.RawIOBase):
    """A part of a file, readable by the sound library as a file object."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        """Open the file.

        Args:
            path: the file.
            start: offset of the part's first byte.
            size: number of bytes of the part.
        """
        self._file = path.open('rb')
        self._start, self._size = start, size
        self._file.seek(start)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.IOBase.seek`; positions count from the part's start."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        self._file.seek(self._start + max(0, base + offset))
        return self.tell()

    def tell(self) -> int:
        """See `io.IOBase.tell`; positions count from the part's start."""
        return self._file.tell() - self._start

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase.read`."""
        left = max(0, self._size - self.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase.readinto`."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
