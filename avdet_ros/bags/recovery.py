"""Read an MCAP file that was cut off: no index, no end, perhaps half a chunk.

An MCAP file is a sequence of records, each preceded by its length. Reading it from the beginning,
chunk by chunk, needs no index. Complete records are used, chunks that cannot be unpacked are
skipped, and the first incomplete record ends the file. See https://mcap.dev/spec.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
import struct

from mcap.exceptions import EndOfFile, McapError
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, ChunkIndex, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
import zstandard

from avdet_ros.files import explain_os_error

LARGEST_RECORD_BYTES = 1 << 28
"""Longer records are treated as damage and not read into memory: 256 MiB."""

NO_INDEX = 'not all messages are in its index'
_INDEX_HEAD_BYTES, _INDEX_ENTRY_BYTES = 9 + 2 + 4, 16

_DAMAGE = (
    McapError,
    EndOfFile,
    ValueError,
    struct.error,
    zstandard.ZstdError,
    RuntimeError,
    KeyError,
    MemoryError,
    OverflowError,
)


@dataclass
class Survivors:
    """Readable content of a damaged file.

    Attributes:
        counts: number of messages by topic and message type.
        first_ns: earliest receive time, None without messages.
        last_ns: latest receive time, None without messages.
        chunks_lost: number of chunks that could not be unpacked.
        reason: why reading ended, for messages to the user.
        encodings: message encoding by topic, for topics not in CDR.
        whole: whether everything was read, up to the end of the file.
    """

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    first_ns: int | None = None
    last_ns: int | None = None
    chunks_lost: int = 0
    reason: str = ''
    encodings: dict[str, str] = field(default_factory=dict)
    whole: bool = False


def has_full_index(path: Path) -> bool:
    """Return whether every message of MCAP files is in their index; True for other files.

    The index is optional, for the whole file and for each chunk. A reader that relies on it does
    not find messages that are missing from it.
    """
    files = [path] if path.is_file() else sorted(path.glob('*.mcap'))
    for file in files:
        if file.suffix != '.mcap':
            continue
        try:
            with file.open('rb') as stream:
                summary = make_reader(stream).get_summary()
        except (*_DAMAGE, OSError):
            continue
        if summary is None or summary.statistics is None:
            return False
        indexed = sum(_index_entries(chunk) for chunk in summary.chunk_indexes)
        if indexed < summary.statistics.message_count:
            return False
    return True


def _index_entries(chunk: ChunkIndex) -> int:
    """Count the messages in the index records that follow a chunk, from the records' length."""
    records = len(chunk.message_index_offsets)
    return (chunk.message_index_length - records * _INDEX_HEAD_BYTES) // _INDEX_ENTRY_BYTES


def scan(path: Path) -> Survivors:
    """Read through a damaged file once and count its readable messages."""
    found = Survivors()
    for topic, msgtype, stamp_ns, _ in _records(path, None, found):
        kind = topic, msgtype
        found.counts[kind] = found.counts.get(kind, 0) + 1
        found.first_ns = stamp_ns if found.first_ns is None else min(found.first_ns, stamp_ns)
        found.last_ns = stamp_ns if found.last_ns is None else max(found.last_ns, stamp_ns)
    return found


def messages(path: Path, topics: Collection[str]) -> Iterator[tuple[str, str, int, bytes]]:
    """Yield topic, type, receive time in ns and CDR bytes of each readable message on topics."""
    return _records(path, topics, Survivors())


def _records(
    path: Path, topics: Collection[str] | None, found: Survivors
) -> Iterator[tuple[str, str, int, bytes]]:
    schemas: dict[int, str] = {}
    channels: dict[int, Channel] = {}

    def take(record: object) -> tuple[str, str, int, bytes] | None:
        if isinstance(record, Schema):
            schemas[record.id] = record.name
        elif isinstance(record, Channel):
            channels[record.id] = record
            if record.message_encoding not in ('', 'cdr'):
                found.encodings[record.topic] = record.message_encoding
        elif isinstance(record, Message):
            channel = channels[record.channel_id]
            if channel.message_encoding not in ('', 'cdr'):
                return None
            if topics is None or channel.topic in topics:
                msgtype = schemas.get(channel.schema_id, '')
                return channel.topic, msgtype, record.log_time, record.data
        return None

    with path.open('rb') as stream:
        reader = StreamReader(stream, emit_chunks=True, record_size_limit=LARGEST_RECORD_BYTES)
        try:
            for record in reader.records:
                if not isinstance(record, Chunk):
                    taken = take(record)
                    if taken:
                        yield taken
                    continue
                try:
                    whole = record.uncompressed_size <= 4 * LARGEST_RECORD_BYTES
                    inside = breakup_chunk(record, validate_crc=True) if whole else None
                except _DAMAGE:
                    inside = None
                if inside is None:
                    found.chunks_lost += 1
                    continue
                batch = [taken for taken in map(take, inside) if taken]
                yield from sorted(batch, key=lambda message: message[2])
            found.reason = 'its index is damaged'
            found.whole = not found.chunks_lost
        except EndOfFile:
            found.reason = f'it is cut off after {path.stat().st_size} bytes'
        except _DAMAGE as error:
            found.reason = f'it is damaged at byte {stream.tell()} ({type(error).__name__})'
        except OSError as error:
            found.reason = (
                f'it cannot be read on from byte {stream.tell()}: {explain_os_error(error)}'
            )
