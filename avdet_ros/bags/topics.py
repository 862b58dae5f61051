"""The topics of a bag: what it holds of each, and the one that a reader means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rosbags.interfaces import Connection, ConnectionExtRosbag2, QosDurability

from avdet_ros.errors import AvdetError
from avdet_ros.messages.typestore import type_hash


@dataclass(frozen=True)
class Topic:
    """One topic of a bag: its name, its message type, how many messages, and the type's hash."""

    name: str
    msgtype: str
    count: int
    digest: str = ''


def encoding_of(connection: Connection) -> str:
    """How a topic's messages are serialized: ``cdr``, where it does not say otherwise."""
    known = connection.ext
    return (isinstance(known, ConnectionExtRosbag2) and known.serialization_format) or 'cdr'


class BagTopics:
    """What is known of a bag's topics, file by file.

    Attributes:
        by_name: those in CDR.
        encodings: of the others, by name.
        latched: topics that late subscribers got when they were recorded.
    """

    def __init__(self, bag: Path) -> None:
        """None so far; the bag's path is for errors."""
        self.by_name: dict[str, Topic] = {}
        self.encodings: dict[str, str] = {}
        self.latched: set[str] = set()
        self._types: dict[str, set[str]] = {}
        self._where = f'bag {bag}'

    def add_connection(self, connection: Connection) -> None:
        """Take what the index of a file says of a topic."""
        offered = getattr(connection.ext, 'offered_qos_profiles', ())
        if any(profile.durability == QosDurability.TRANSIENT_LOCAL for profile in offered):
            self.latched.add(connection.topic)
        if (kind := encoding_of(connection)) != 'cdr':
            self.encodings[connection.topic] = kind
            return
        self.add(connection.topic, connection.msgtype, connection.msgcount, connection.digest)

    def add(self, topic: str, msgtype: str, count: int, digest: str = '') -> None:
        """Count messages of a topic.

        Args:
            topic: its name.
            msgtype: of the messages.
            count: how many.
            digest: hash of the type, where the bag has one.
        """
        before = self.by_name.get(topic)
        if count:
            self._types.setdefault(topic, set()).add(msgtype)
        total = count + (before.count if before else 0)
        if before is None or not before.count:
            self.by_name[topic] = Topic(topic, msgtype, total, digest)
        else:  # of another type too, if so: then `require` refuses it
            self.by_name[topic] = Topic(topic, before.msgtype, total, before.digest or digest)

    def require(self, topic: str, *msgtypes: str) -> Topic:
        """A topic that must be there with one of these types.

        Raises:
            AvdetError: it is missing, empty, of another type, or of another version of the type.
        """
        entry = self.by_name.get(topic)
        kind = ' or '.join(msgtypes)
        if kind_of := self.encodings.get(topic):
            raise AvdetError(f'{self._where}: {topic}: expected messages in CDR, found {kind_of}')
        if len(self._types.get(topic, ())) > 1:
            types = ' and '.join(sorted(self._types[topic]))
            raise AvdetError(f'{self._where}: {topic}: expected one message type, found {types}')
        if entry is None or entry.count == 0:
            there = ', '.join(sorted(name for name, t in self.by_name.items() if t.count))
            raise AvdetError(
                f'{self._where}: {topic}: expected messages of {kind}, found none; '
                f'the bag has {there or "no messages at all"}'
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
        """The one topic with this last name and type, wherever its namespace is.

        Args:
            name: a full name (taken as it is), or a last name such as ``audio``.
            msgtypes: types that count.

        Returns:
            The full name; None if there is no such topic with messages.

        Raises:
            AvdetError: several topics answer.
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
