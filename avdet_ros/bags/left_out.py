"""Messages of a bag that are not what they should be: left out, named, counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import logging
from typing import Any

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError

_logger = logging.getLogger(__name__)

NAMED = 3
"""At most so many of one topic are logged one by one."""


@dataclass
class LeftOut:
    """What one topic's messages were refused for.

    Attributes:
        where: bag and topic.
        good: messages that could be used.
        bad: messages that could not.
        reasons: of the first few.
    """

    where: str
    good: int = 0
    bad: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, error: AvdetError | str) -> None:
        """Leave a message out."""
        self.bad += 1
        if len(self.reasons) < NAMED:
            self.reasons.append(str(error))
            _logger.info('left out: %s', error)

    def check(self) -> None:
        """Look at the outcome.

        Raises:
            AvdetError: nothing could be used, or more was refused than used: then the topic is
                not what it was taken for.
        """
        if self.bad and not self.good:
            raise AvdetError(self.reasons[0])
        if self.bad > self.good:
            raise AvdetError(
                f'{self.reasons[0]}; {self.bad} of {self.good + self.bad} messages are like that'
            )

    @property
    def sentence(self) -> str | None:
        """What was left out, None where nothing was."""
        if not self.bad:
            return None
        total = self.good + self.bad
        return f'{self.bad} of {total} messages left out, the first: {self.reasons[0]}'


def whole_messages(bag: Bag, topic: str) -> Iterator[Any]:
    """The deserialized messages of one topic; what is damaged is logged and left out."""
    left_out = LeftOut(f'bag {bag.path}: {topic}')
    for message in bag.messages([topic]):
        try:
            decoded = decode(message)
        except AvdetError as error:
            left_out.add(f'bag {bag.path}: {error}')
            continue
        yield decoded
