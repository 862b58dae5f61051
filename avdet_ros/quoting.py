"""Format values, names and causes for error messages: short and on one line, whatever the size."""

from __future__ import annotations

from collections.abc import Iterable
import difflib
import re
import reprlib

_SOURCE = re.compile(r'/[^ ]+\.(cc|cpp|cxx|cu|h|hpp):\d+:? (?=[^()]*::[^()]*\()')
_AFTER_SIGNATURE = re.compile(r'^( const| noexcept|::[^ ]+| \[with [^\]]*\])*[ :,.]*')

_short = reprlib.Repr()
_short.maxlevel = 2  # the full text of nested lists in a short file can fill the memory
_short.maxstring = 56
_short.maxother = 56


def brief_repr(value: object, length: int = 60) -> str:
    """Format a value for an error message.

    The text of nested lists is never built in full: a YAML file of ten lines can contain a billion
    references to one list.

    Args:
        value: any value from a file.
        length: maximum number of characters of the result.
    """
    try:
        if isinstance(value, str):
            value = value[:length]
        return _short.repr(value)[:length]
    except ValueError:  # integers with thousands of digits
        return 'a huge number'


def brief_key(key: object, length: int = 60) -> str:
    """Format a key for an error message: without quotes if it is printable on one line."""
    text = str(key) if isinstance(key, str) else brief_repr(key, length)
    return text[:length] if text.isprintable() else brief_repr(key, length)


def one_line(error: object, most: int = 240) -> str:
    """Return an error's text on one line, or its type if the text is empty.

    The source file and function signature that C++ libraries put before the reason are removed. If
    the text is longer than `most` characters, its middle is removed: the reason is as often at the
    end as at the beginning.
    """
    text = _without_signature(' '.join(str(error).split())) or type(error).__name__
    if len(text) <= most:
        return text
    head, tail = text[: most // 2 - 2], text[len(text) - most // 2 + 3 :]
    if ' ' in head and ' ' in tail:
        head, tail = head.rpartition(' ')[0], tail.partition(' ')[2]
    return f'{head} ... {tail}'


def _without_signature(text: str) -> str:
    """Reduce ``... : FAIL : /src/model.cc:256 ns::Model(Proto&&) why`` to ``why``."""
    place = _SOURCE.search(text)
    if place is None:
        return text
    depth, begun = 0, False
    for at in range(place.end(), len(text)):
        depth += (text[at] == '(') - (text[at] == ')')
        begun = begun or depth > 0
        if begun and depth == 0:
            reason = _AFTER_SIGNATURE.sub('', text[at + 1 :])
            return reason if reason.strip() else text
    return text


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the most similar known one, if any."""
    text = given[:60] if isinstance(given, str) else brief_repr(given)
    near = difflib.get_close_matches(text, list(known), n=1, cutoff=0.5)
    return f'; did you mean {near[0]}?' if near else ''
