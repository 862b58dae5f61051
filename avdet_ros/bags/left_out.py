"""Leave out, log and count invalid messages of a bag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import logging
from typing import Any

from avdet_ros.bags.reader import Bag, decode
from avdet_ros.errors import AvdetError

_logger = logging.getLogger(__name__)

NAMED = 3
"""Maximum number of messages per topic that are logged individually."""


@dataclass
class LeftOut:
    """Counts of one topic's usable and refused messages, with the reasons.

    Attributes:
        where: bag and topic.
        good: number of usable messages.
        bad: number of refused messages.
        reasons: reasons of the first few refusals.
    """

    where: str
    good: int = 0
    bad: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, error: AvdetError | str) -> None:
        """Count a message that is left out, and log the first few."""
        self.bad += 1
        if len(self.reasons) < NAMED:
            self.reasons.append(str(error))
            _logger.info('left out: %s', error)

    def check(self) -> None:
        """Check that the topic is usable.

        Raises:
            AvdetError: no message could be used, or more were refused than used: then the topic
                does not contain what was assumed.
        """
        if self.bad and not self.good:
            raise AvdetError(self.reasons[0])
        if self.bad > self.good:
            raise AvdetError(
                f'{self.reasons[0]}; {self.bad} of {self.good + self.bad} messages are like that'
            )

    @property
    def sentence(self) -> str | None:
        """Summary of what was left out; None if nothing was."""
        if not self.bad:
            return None
        total = self.good + self.bad
        return f'{self.bad} of {total} messages left out, the first: {self.reasons[0]}'


def whole_messages(bag: Bag, topic: str) -> Iterator[Any]:
    """Yield the deserialized messages of one topic; damaged ones are logged and left out."""
    left_out = LeftOut(f'bag {bag.path}: {topic}')
    for message in bag.messages([topic]):
        try:
            decoded = decode(message)
        except AvdetError as error:
            left_out.add(f'bag {bag.path}: {error}')
            continue
        yield decoded
