"""Attributes that are None while a node is not active."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar('T')


def held(value: T | None) -> T:
    """What a node holds while it is configured or active.

    Args:
        value: of an attribute that is None in between.

    Raises:
        RuntimeError: it is None.
    """
    if value is None:
        raise RuntimeError('expected a node that is active')
    return value
