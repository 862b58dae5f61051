"""How much sound a WAV file holds, whatever its header says.

The length field has 32 bits and is written last. A recorder that was killed leaves 0 or what was
there a minute before, one that writes to a pipe the greatest number, one that goes beyond 4 GiB
the rest of a division; and a copy that broke off holds less than is promised.
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
    """Where the sound of a WAV file is.

    Attributes:
        start: place of its first byte.
        promised: bytes by the header; 0 where it leaves that open.
        held: bytes that are there.
        frame_bytes: of a sample of all channels.
        channels: columns.
        sample_rate_hz: of the header.
        subtype: of libsndfile; '' for an encoding that is not plain samples.
    """

    start: int
    promised: int
    held: int
    frame_bytes: int
    channels: int
    sample_rate_hz: int
    subtype: str

    @property
    def frames(self) -> int:
        """Whole samples that are there."""
        return self.held // self.frame_bytes

    @property
    def missing(self) -> int:
        """Bytes that are promised and not there."""
        return max(0, self.promised - self.held)

    @property
    def notice(self) -> str:
        """What is wrong with the header, in times; '' where nothing is."""
        rate = self.sample_rate_hz * self.frame_bytes
        held = f'{self.held / rate:.1f} s'
        if not self.promised:
            return f'its header leaves its length open; the file holds {held}'
        if abs(self.promised - self.held) >= self.frame_bytes:
            words = 'the rest is missing' if self.missing else 'all of it is read'
            return f'its header says {self.promised / rate:.1f} s, the file holds {held}: {words}'
        return ''


def wav_length(path: Path) -> WavLength | None:
    """Look at the chunks of a WAV file, RF64 too.

    Args:
        path: a readable file.

    Returns:
        Where its sound is; None for other formats and headers that are no WAV file's.
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
    file: BinaryIO, size: int, promised: int, long_size: int, layout: bytes
) -> WavLength | None:
    """What the sound's chunk, which the file stands before, holds."""
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
    there = size - start
    if promised == 0xFFFFFFFF and long_size:
        promised = long_size
    held = min(promised, there)
    if promised >= _OPEN and there < promised:
        promised, held = 0, there
    elif promised < there and not _chunks_follow(file, start + promised, size, frame):
        promised, held = (promised, there)
    return WavLength(start, promised, held, frame, channels, rate_hz, subtype)


def _chunks_follow(file: BinaryIO, at: int, size: int, frame: int) -> bool:
    """Whether what comes after the sound are other chunks, or less than a sample of padding."""
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
    """A file from a place on, as the sound library takes it."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        """Open it.

        Args:
            path: the file.
            start: the first byte.
            size: how many.
        """
        self._file = path.open('rb')
        self._start, self._size = start, size
        self._file.seek(start)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of a file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        self._file.seek(self._start + max(0, base + offset))
        return self.tell()

    def tell(self) -> int:
        """As of a file."""
        return self._file.tell() - self._start

    def read(self, size: int = -1) -> bytes:
        """As of a file."""
        left = max(0, self._size - self.tell())
        return self._file.read(left if size < 0 else min(size, left))

    def readinto(self, buffer: Any) -> int:
        """As of a file."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """As of a file."""
        self._file.close()
        super().close()
