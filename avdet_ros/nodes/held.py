"""Attributes that are None while a node is not active."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar('T')


def held(value: T | None) -> T:
    """Return an attribute that is set while a node is configured or active.

    Args:
        value: value of the attribute, None at other times.

    Raises:
        RuntimeError: it is None.
    """
    if value is None:
        raise RuntimeError('expected a node that is active')
    return value
