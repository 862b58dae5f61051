"""What one look at a part of the vehicle came to."""

from __future__ import annotations

from dataclasses import dataclass

OK = 'ok'
TO_DO = 'to do'
NOT_CHECKED = 'not checked'


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        part: what was looked at: device, channels, levels, clock, camera, TF, model, GPU, disk.
        state: `OK`, `TO_DO` or `NOT_CHECKED`.
        found: what is there, or why nothing was looked at.
        next_step: what to do about it; '' where nothing is.
    """

    part: str
    state: str
    found: str
    next_step: str = ''


def ok(part: str, found: str) -> Finding:
    """A part that is well."""
    return Finding(part, OK, found)


def to_do(part: str, found: str, next_step: str) -> Finding:
    """A part that asks for something."""
    return Finding(part, TO_DO, found, next_step)


def not_checked(part: str, why: str, next_step: str = '') -> Finding:
    """A part that could not be looked at."""
    return Finding(part, NOT_CHECKED, why, next_step)
