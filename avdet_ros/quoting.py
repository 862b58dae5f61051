"""Values, names and causes in error messages: short and on one line, however large they are."""

from __future__ import annotations

from collections.abc import Iterable
import difflib
import reprlib

_short = reprlib.Repr()
_short.maxlevel = 2  # a file of a few lines can hold lists whose full text fills the memory
_short.maxstring = 56
_short.maxother = 56


def brief_repr(value: object, length: int = 60) -> str:
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


def brief_key(key: object, length: int = 60) -> str:
    """A key as an error message can carry it: plain where that is one line."""
    text = str(key) if isinstance(key, str) else brief_repr(key, length)
    return text[:length] if text.isprintable() else brief_repr(key, length)


def one_line(error: object, most: int = 160) -> str:
    """An error's text on one line of at most `most` characters; its type where it has none."""
    return (' '.join(str(error).split()) or type(error).__name__)[:most]


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest known one, if one is near."""
    text = given[:60] if isinstance(given, str) else brief_repr(given)
    near = difflib.get_close_matches(text, list(known), n=1, cutoff=0.5)
    return f'; did you mean {near[0]}?' if near else ''
