"""Values from files in error messages: short, however large the value is."""

from __future__ import annotations

import reprlib

_short = reprlib.Repr()
_short.maxlevel = 2  # a file of a few lines can hold lists whose full text fills the memory
_short.maxstring = 56
_short.maxother = 56


def shown(value: object, length: int = 60) -> str:
    """A value as an error message can carry it.

    The text of nested lists is never built in full: a YAML file of ten lines can hold a billion
    references to one list.

    Args:
        value: anything a file can hold.
        length: most characters of the result.
    """
    try:
        if isinstance(value, str):
            value = value[:length]
        return _short.repr(value)[:length]
    except ValueError:  # whole numbers of thousands of digits
        return 'a huge number'


def shown_key(key: object, length: int = 60) -> str:
    """A key as an error message can carry it: plain where that is one line."""
    text = str(key) if isinstance(key, str) else shown(key, length)
    return text[:length] if text.isprintable() else shown(key, length)
