"""Result of the check of one part of the vehicle."""

from __future__ import annotations

from dataclasses import dataclass

OK = 'ok'
TO_DO = 'to do'
NOT_CHECKED = 'not checked'


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        part: part checked: device, channels, levels, clock, camera, TF, model, GPU, disk.
        state: `OK`, `TO_DO` or `NOT_CHECKED`.
        found: what was found, or why nothing was checked.
        next_step: what to do about it; '' for nothing.
    """

    part: str
    state: str
    found: str
    next_step: str = ''


def ok(part: str, found: str) -> Finding:
    """Report a part that works."""
    return Finding(part, OK, found)


def to_do(part: str, found: str, next_step: str) -> Finding:
    """Report a part that needs an action."""
    return Finding(part, TO_DO, found, next_step)


def not_checked(part: str, why: str, next_step: str = '') -> Finding:
    """Report a part that could not be checked."""
    return Finding(part, NOT_CHECKED, why, next_step)
