"""Read rosbag2 recordings, whole or damaged.

A bag is a folder with ``metadata.yaml`` and MCAP or sqlite3 files, or one such file. If the
recording ended without warning, the metadata and the index are missing. Then every file is read
on its own up to the point where it breaks off, and `Bag.partial` names it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
import struct
from tempfile import TemporaryDirectory

import apsw
from rosbags.rosbag2 import Reader, ReaderError
from rosbags.serde import SerdeError
import zstandard

from avdet_ros.bags import recovery
from avdet_ros.bags.staging import message_files, needs_staging, stage_file, stage_folder
from avdet_ros.bags.topics import BagTopics, Topic, encoding_of
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.messages.typestore import typestore
from avdet_ros.quoting import one_line

LARGEST_MESSAGE_BYTES = recovery.LARGEST_RECORD_BYTES
"""Longer messages are refused: 256 MiB."""

_ZSTD = b'\x28\xb5\x2f\xfd'
_BROKEN = (
    ReaderError,
    SerdeError,
    zstandard.ZstdError,
    apsw.Error,
    ValueError,
    struct.error,
    EOFError,
    TypeError,
    KeyError,
    RuntimeError,
    AssertionError,
    MemoryError,
    OverflowError,
)
"""Exceptions that rosbags raises on damaged files."""


@dataclass(frozen=True)
class BagMessage:
    """One recorded message.

    Attributes:
        topic: the topic's name.
        msgtype: e.g. ``sensor_msgs/msg/Image``.
        stamp_ns: when the recorder received it.
        data: CDR bytes.
    """

    topic: str
    msgtype: str
    stamp_ns: int
    data: bytes


class Bag:
    """An opened recording.

    Attributes:
        path: as given.
        topics: the bag's topics by name.
        partial: None, or one sentence on why the bag is incomplete, as far as known. Reading may
            find more damage, so check again after the last message.
        start_ns: receive time of the first message.
        end_ns: receive time of the last message.
        latched: topics that were recorded from transient-local (latched) publishers.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a bag.

        Args:
            path: folder, or one ``.mcap`` or ``.db3`` file.

        Raises:
            AvdetError: the path contains no bag, or nothing in the bag can be read.
        """
        self.path = Path(path)
        self.partial: str | None = None
        self._topics = BagTopics(self.path)
        self.topics = self._topics.by_name
        self.start_ns = 0
        self.end_ns = 0
        self.latched = self._topics.latched
        self._readers: list[Reader] = []
        self._damaged: list[Path] = []
        self._stage: TemporaryDirectory[str] | None = None
        self._places = 0
        if not self.path.exists():
            raise AvdetError(f'{path}: expected a rosbag2 folder, .mcap or .db3, found nothing')
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def duration_s(self) -> float:
        """Time from the first message to the last, seconds."""
        return (self.end_ns - self.start_ns) * 1e-9

    def close(self) -> None:
        """Close the files."""
        for reader in self._readers:
            if reader.is_open:
                reader.close()
        self._readers.clear()
        if self._stage is not None:
            self._stage.cleanup()
            self._stage = None

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def require(self, topic: str, *msgtypes: str) -> Topic:
        """Return a topic that must exist with one of these types, see `BagTopics.require`."""
        return self._topics.require(topic, *msgtypes)

    def find(self, name: str, *msgtypes: str) -> str | None:
        """Return the only topic with this last name and type, see `BagTopics.find`."""
        return self._topics.find(name, *msgtypes)

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield messages in the order of their receive times, one file after the other.

        Damage found while reading ends that file's messages and is noted in `partial`.

        Args:
            topics: full names; None means all.
            start_ns: leave out messages received before this time.

        Raises:
            AvdetError: a message is larger than `LARGEST_MESSAGE_BYTES`.
        """
        wanted = set(self.topics if topics is None else topics)
        for reader in self._readers:
            for message in self._intact(reader, wanted, start_ns):
                yield self._bounded(message)
        for path in self._damaged:
            for name, kind, stamp_ns, data in recovery.messages(path, wanted):
                if start_ns is None or stamp_ns >= start_ns:
                    yield self._bounded(BagMessage(name, kind, stamp_ns, data))

    def _open(self) -> None:
        has_metadata = self.path.is_dir() and (self.path / 'metadata.yaml').is_file()
        if has_metadata:
            problem = self._try(self._staged(self.path))
            if problem is None:
                return
            # The code below reads these without loss.
            if problem != recovery.NO_INDEX and 'Serialization format' not in problem:
                self._note(problem)
        files = [self.path]
        if self.path.is_dir():
            files = message_files(self.path)
        if not files:
            raise AvdetError(
                f'bag {self.path}: expected metadata.yaml and .mcap or .db3 files, found none'
            )
        for file in files:
            try:
                problem = self._try(self._staged(file))
            except (OSError, *_BROKEN) as error:
                problem = one_line(error)
            if problem is not None:
                self._recover(file, problem)
            elif file.suffix == '.db3' and self.path.is_dir() and not has_metadata:
                # Unlike MCAP's index, nothing in the file shows whether it was closed.
                self._note('metadata.yaml is missing, so the recording was cut short')
        if not any(topic.count for topic in self.topics.values()):
            other = ', '.join(f'{name} in {kind}' for name, kind in self._topics.encodings.items())
            raise AvdetError(
                self.partial
                or f'bag {self.path}: expected messages in CDR, found {other or "none"}'
            )

    def _staged(self, path: Path) -> Path:
        """Return a path where rosbags can open a bag or one of its files."""
        files = message_files(path) if path.is_dir() else [path]
        if not any(map(needs_staging, files)):
            return path
        if self._stage is None:
            self._stage = TemporaryDirectory(prefix='avdet-bag-')
        folder = Path(self._stage.name) / str(self._places)
        self._places += 1
        folder.mkdir()
        if path.is_dir():
            return folder if stage_folder(path, folder) else path
        return stage_file(path, folder, 'part')

    def _try(self, path: Path) -> str | None:
        try:
            reader = Reader(path)
            reader.open()
        except (OSError, *_BROKEN) as error:
            return one_line(error, 300)
        if not recovery.has_full_index(path):
            reader.close()
            return recovery.NO_INDEX
        self._readers.append(reader)
        for connection in reader.connections:
            self._topics.add_connection(connection)
        if reader.message_count:
            self._span(int(reader.start_time), int(reader.end_time) - 1)
        return None

    def _recover(self, file: Path, problem: str) -> None:
        if '.mcap' not in file.suffixes:
            self._note(f'{file.name} cannot be opened: {problem}')
            return
        try:
            place = self._staged(file)
            found = recovery.scan(place)
        except OSError as error:
            self._note(f'{file.name} cannot be opened: {explain_os_error(error)}')
            return
        except _BROKEN as error:
            self._note(f'{file.name} cannot be opened: {one_line(error)}')
            return
        lost = f', {found.chunks_lost} damaged chunks left out' if found.chunks_lost else ''
        kept = sum(found.counts.values())
        if not found.whole:
            self._note(f'{file.name}: {found.reason}{lost}, {kept} messages before that are whole')
        self._topics.encodings.update(found.encodings)
        for (topic, msgtype), count in found.counts.items():
            self._topics.add(topic, msgtype, count)
        if found.first_ns is not None and found.last_ns is not None:
            self._damaged.append(place)
            self._span(found.first_ns, found.last_ns)

    def _intact(
        self, reader: Reader, wanted: set[str], start_ns: int | None
    ) -> Iterator[BagMessage]:
        connections = [
            connection
            for connection in reader.connections
            if connection.topic in wanted and encoding_of(connection) == 'cdr'
        ]
        if not connections:
            return
        try:
            for connection, stamp_ns, data in reader.messages(connections, start=start_ns):
                yield BagMessage(connection.topic, connection.msgtype, stamp_ns, bytes(data))
        except (OSError, *_BROKEN) as error:
            self._note(f'{Path(str(reader.path)).name} cannot be read to its end: {error}')

    def _bounded(self, message: BagMessage) -> BagMessage:
        if message.data[:4] == _ZSTD:  # compressed message by message, without metadata
            try:
                plain = zstandard.ZstdDecompressor().decompress(message.data)
            except zstandard.ZstdError:
                return message
            message = BagMessage(message.topic, message.msgtype, message.stamp_ns, plain)
        if len(message.data) > LARGEST_MESSAGE_BYTES:
            raise AvdetError(
                f'bag {self.path}: {message.topic}: expected messages below '
                f'{LARGEST_MESSAGE_BYTES >> 20} MiB, found one of {len(message.data) >> 20} MiB'
            )
        return message

    def _span(self, first_ns: int, last_ns: int) -> None:
        has_span = bool(self.end_ns)
        self.start_ns = min(self.start_ns, first_ns) if has_span else first_ns
        self.end_ns = max(self.end_ns, last_ns)

    def _note(self, sentence: str) -> None:
        sentence = ' '.join(sentence.split())
        self.partial = (
            f'{self.partial}; {sentence}' if self.partial else f'bag {self.path}: {sentence}'
        )


def decode(message: BagMessage) -> object:
    """Deserialize a message to rosbags' type (arrays are numpy).

    Raises:
        AvdetError: the bytes are not a message of this type.
    """
    try:
        return typestore().deserialize_cdr(message.data, message.msgtype)
    except (SerdeError, KeyError, ValueError, struct.error, IndexError, AssertionError) as error:
        raise AvdetError(
            f'{message.topic} at {message.stamp_ns} ns: expected a serialized {message.msgtype}, '
            f'found {len(message.data)} bytes that are not one'
        ) from error
