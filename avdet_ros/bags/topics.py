"""The topics of a bag: type and number of messages of each, and how to look them up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability

from avdet_ros.errors import AvdetError
from avdet_ros.messages.typestore import type_hash


@dataclass(frozen=True)
class Topic:
    """One topic of a bag: its name, message type, number of messages, and the type's hash."""

    name: str
    msgtype: str
    count: int
    digest: str = ''


def encoding_of(connection: Connection) -> str:
    """Return the serialization format of a topic's messages, ``cdr`` by default."""
    known = connection.ext
    return (isinstance(known, ConnectionExtRosbag2) and known.serialization_format) or 'cdr'


class BagTopics:
    """The topics of a bag, collected file by file.

    Attributes:
        by_name: topics in CDR.
        encodings: serialization format of the other topics, by name.
        latched: topics that were recorded from transient-local (latched) publishers.
    """

    def __init__(self, bag: Path) -> None:
        """Start without topics; the bag's path is for error messages."""
        self.by_name: dict[str, Topic] = {}
        self.encodings: dict[str, str] = {}
        self.latched: set[str] = set()
        self._types: dict[str, set[str]] = {}
        self._where = f'bag {bag}'

    def add_connection(self, connection: Connection) -> None:
        """Add a topic from the index of a file."""
        offered = getattr(connection.ext, 'offered_qos_profiles', ())
        if any(profile.durability == QosDurability.TRANSIENT_LOCAL for profile in offered):
            self.latched.add(connection.topic)
        if (kind := encoding_of(connection)) != 'cdr':
            self.encodings[connection.topic] = kind
            return
        self.add(connection.topic, connection.msgtype, connection.msgcount, connection.digest)

    def add(self, topic: str, msgtype: str, count: int, digest: str = '') -> None:
        """Add messages of a topic.

        Args:
            topic: its name.
            msgtype: type of the messages.
            count: number of messages.
            digest: hash of the type, if the bag has one.
        """
        before = self.by_name.get(topic)
        if count:
            self._types.setdefault(topic, set()).add(msgtype)
        total = count + (before.count if before else 0)
        if before is None or not before.count:
            self.by_name[topic] = Topic(topic, msgtype, total, digest)
        else:  # if the type differs, `require` refuses the topic
            self.by_name[topic] = Topic(topic, before.msgtype, total, before.digest or digest)

    def require(self, topic: str, *msgtypes: str) -> Topic:
        """Return a topic that must exist with one of these types.

        Raises:
            AvdetError: the topic is missing, empty, or has another type or another version of the
                type.
        """
        entry = self.by_name.get(topic)
        kind = ' or '.join(msgtypes)
        if kind_of := self.encodings.get(topic):
            raise AvdetError(f'{self._where}: {topic}: expected messages in CDR, found {kind_of}')
        if len(self._types.get(topic, ())) > 1:
            types = ' and '.join(sorted(self._types[topic]))
            raise AvdetError(f'{self._where}: {topic}: expected one message type, found {types}')
        if entry is None or entry.count == 0:
            available = ', '.join(sorted(name for name, t in self.by_name.items() if t.count))
            raise AvdetError(
                f'{self._where}: {topic}: expected messages of {kind}, found none; '
                f'the bag has {available or "no messages at all"}'
            )
        if entry.msgtype not in msgtypes:
            raise AvdetError(f'{self._where}: {topic}: expected {kind}, found {entry.msgtype}')
        if entry.digest.startswith('RIHS01_') and entry.digest != type_hash(entry.msgtype):
            raise AvdetError(
                f'{self._where}: {topic}: expected {entry.msgtype} as ROS 2 Jazzy defines it, '
                f'found another definition under the same name'
            )
        return entry

    def find(self, name: str, *msgtypes: str) -> str | None:
        """Return the only topic with this last name and type, in any namespace.

        Args:
            name: a full name (used unchanged), or a last name such as ``audio``.
            msgtypes: accepted types.

        Returns:
            The full name; None if there is no such topic with messages.

        Raises:
            AvdetError: several topics match.
        """
        if name.startswith('/'):
            return name if name in self.by_name and self.by_name[name].count else None
        found = [
            topic.name
            for topic in self.by_name.values()
            if topic.name.rsplit('/', 1)[-1] == name and topic.count and topic.msgtype in msgtypes
        ]
        if len(found) > 1:
            raise AvdetError(
                f'{self._where}: {name}: expected one topic of that name, '
                f'found {", ".join(sorted(found))}; name one with its full name'
            )
        return found[0] if found else None
