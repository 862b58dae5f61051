"""Write a bag that survives a power cut.

rosbag2's MCAP storage consists of chunks of messages, an index at the end, and ``metadata.yaml``
next to the file. A chunk is closed as soon as it contains one second, so a recording that ends
without warning loses at most that second. `avdet_ros.bags.reader` opens it without index and
metadata.
"""

from __future__ import annotations

from contextlib import suppress
import os
from pathlib import Path
from typing import Any

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer, WriterError

from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.messages.typestore import known, typestore

CHUNK_NS = 1_000_000_000
"""Maximum time span of a chunk: the most that a power cut can cost."""

LATCHED_TOPICS = ('label_info', 'tf_static', 'robot_description')
"""Last names of topics that late subscribers must receive when a bag is played."""

_FOREVER = QosTime(sec=9_223_372_036, nsec=854_775_807)


class BagWriter:
    """A new rosbag2 folder, written message by message.

    The same messages with the same stamps in the same order give the same bytes.

    Attributes:
        path: the bag's folder.
        messages: number of messages written.
        size_bytes: bytes written to disk so far, without the chunk that is still open.
        first_ns: stamp of the earliest message, None before the first.
        last_ns: stamp of the latest message, None before the first.
    """

    def __init__(
        self,
        path: str | Path,
        compression: str | None = None,
        storage: str = 'mcap',
        file_name: str | None = None,
    ) -> None:
        """Create the folder.

        Args:
            path: folder to create, with its parents.
            compression: None, or ``zstd`` for compressed chunks: lossless, saves about a tenth of
                16-bit sound and a third of pictures, at the cost of one core's share of time.
            storage: ``mcap`` or ``sqlite3``; only the former is flushed every second.
            file_name: name of the file in the folder; the file's bytes contain it, too. None
                names it after the folder.

        Raises:
            AvdetError: the folder exists already or cannot be created, or an argument is unknown.
        """
        self.path = Path(path)
        if compression not in (None, 'zstd') or storage not in ('mcap', 'sqlite3'):
            raise AvdetError(
                f'{path}: expected storage mcap or sqlite3 and compression none or zstd, '
                f'found {storage} and {compression}'
            )
        self.messages = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self._connections: dict[str, Connection] = {}
        self._chunk_start_ns: int | None = None
        self._is_mcap = storage == 'mcap'
        try:
            self._writer = Writer(
                self.path, version=9, storage_plugin=StoragePlugin[storage.upper()]
            )
            if compression:
                mode = CompressionMode.STORAGE if self._is_mcap else CompressionMode.MESSAGE
                self._writer.set_compression(mode, CompressionFormat.ZSTD)
            self._writer.open()
            if file_name:
                storage_file: Any = self._storage
                storage_file.path = storage_file.path.rename(self.path / file_name)
        except WriterError as error:
            raise AvdetError(
                f'{path}: expected the name of a bag that does not exist yet, found one'
            ) from error
        except OSError as error:
            raise AvdetError(f'cannot make the bag {path}: {explain_os_error(error)}') from error

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        files = [entry for entry in self.path.glob('*') if entry.is_file()]
        return sum(entry.stat().st_size for entry in files)

    def write(
        self,
        topic: str,
        msgtype: str,
        cdr_bytes: bytes | memoryview,
        stamp_ns: int,
        latched: bool = False,
    ) -> None:
        """Append one message.

        Args:
            topic: full name, e.g. ``/avdet/audio``.
            msgtype: e.g. ``sensor_msgs/msg/Image``.
            cdr_bytes: the serialized message including the encapsulation header, as from a raw
                subscription of rclpy or from `typestore().serialize_cdr`.
            stamp_ns: receive time; messages are played in this order.
            latched: whether late subscribers must receive it when the bag is played, as is always
                true of `LATCHED_TOPICS`; the value for a topic's first message holds for all.

        Raises:
            AvdetError: the type is unknown or changes within a topic, the stamp is negative, or
                the disk is full.
        """
        connection = self._connection(topic, msgtype, latched)
        if stamp_ns < 0:
            raise AvdetError(
                f'{self.path}: {topic}: expected a time after 1970, found {stamp_ns} ns'
            )
        try:
            if self._chunk_start_ns is None:
                self._chunk_start_ns = stamp_ns
            elif abs(stamp_ns - self._chunk_start_ns) >= CHUNK_NS:
                self._close_chunk()
                self._chunk_start_ns = stamp_ns
            self._writer.write(connection, stamp_ns, bytes(cdr_bytes))
        except OSError as error:
            raise self._disk_error(error) from error
        self.messages += 1
        self.first_ns = stamp_ns if self.first_ns is None else min(self.first_ns, stamp_ns)
        self.last_ns = stamp_ns if self.last_ns is None else max(self.last_ns, stamp_ns)

    def flush(self) -> None:
        """Flush everything written so far to disk; a live recorder does so every second.

        Raises:
            AvdetError: the disk is full.
        """
        if not self._is_mcap or self._storage is None:
            return
        try:
            self._close_chunk()
            os.fsync(self._storage.bio.fileno())
        except OSError as error:
            raise self._disk_error(error) from error
        self._chunk_start_ns = None

    def close(self) -> None:
        """Write index and ``metadata.yaml``; does nothing if already closed or after a disk error.

        Raises:
            AvdetError: the disk is full.
        """
        if self._storage is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            raise self._disk_error(error) from error

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _storage(self) -> Any:
        """The storage being written; Any, since MCAP storage has more than rosbags' interface."""
        return self._writer.storage

    def _close_chunk(self) -> None:
        storage = self._storage
        if self._is_mcap and storage.chunk.msgs:
            storage.close_chunk()
            storage.bio.flush()

    def _connection(self, topic: str, msgtype: str, latched: bool) -> Connection:
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(
                topic,
                known(msgtype),
                typestore=typestore(),
                offered_qos_profiles=[_qos(latched or topic.rsplit('/', 1)[-1] in LATCHED_TOPICS)],
            )
            self._connections[topic] = connection
        elif connection.msgtype != msgtype:
            raise AvdetError(
                f'{self.path}: {topic}: expected {connection.msgtype} as before, found {msgtype}'
            )
        return connection

    def _disk_error(self, error: OSError) -> AvdetError:
        with suppress(OSError):  # write no index after half a chunk
            self._writer.abort()
        reason = explain_os_error(error)
        return AvdetError(
            f'cannot write the bag {self.path}: {reason}; what was written before stays readable'
        )


def _qos(latched: bool) -> Qos:
    durability = QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=100 if latched else 10,  # several nodes may latch one topic
        reliability=QosReliability.RELIABLE,
        durability=durability,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
