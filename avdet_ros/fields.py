"""Fields of recipes: what a value may be, and how a YAML tree becomes a checked dataclass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, field, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import brief_repr, did_you_mean

T = TypeVar('T')


def value(
    default: Any,
    low: float = 0.0,
    high: float = 0.0,
    choices: tuple[str, ...] | Callable[[], Iterable[str]] = (),
) -> Any:
    """A field of a recipe: its default, and the range or the choices it has.

    Choices that a registry has are a function, called when a value is checked.
    """
    return field(default=default, metadata={'low': low, 'high': high, 'choices': choices})


def fill(kind: type[T], tree: Any, where: str, path: str = '') -> T:
    """Make a dataclass of a YAML tree; see `recipe.read_recipe`.

    Args:
        kind: the dataclass.
        tree: what YAML gave.
        where: the file, for messages.
        path: the keys that lead to the tree, for messages.
    """
    if not isinstance(tree, dict):
        place = path or 'the recipe'
        raise AvdetError(f'{where}: {place}: expected keys with values, found {brief_repr(tree)}')
    known = {item.name: item for item in fields(kind)}
    for key in tree:
        if key not in known:
            name = key[:60] if isinstance(key, str) else brief_repr(key)
            raise AvdetError(
                f'{where}: {_join(path, name)}: expected one of '
                f'{", ".join(known)}, found an unknown key' + did_you_mean(key, known)
            )
    types = get_type_hints(kind)
    values = {}
    for name, item in known.items():
        place = _join(path, name)
        if name not in tree:
            if item.default is MISSING and item.default_factory is MISSING:
                raise AvdetError(f'{where}: {place}: expected a value, found none')
            continue
        if is_dataclass(types[name]):
            values[name] = fill(types[name], tree[name], where, place)
        else:
            values[name] = _checked(types[name], tree[name], item, f'{where}: {place}')
    try:
        return kind(**values)
    except AvdetError as error:  # values that are right each by itself and do not go together
        raise AvdetError(f'{where}: {error}') from error


def _checked(kind: Any, given: Any, item: Any, place: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(given, list) or (not given and item.default != ()):
            raise AvdetError(f'{place}: expected a list, found {brief_repr(given)}')
        return tuple(_checked(get_args(kind)[0], each, item, place) for each in given)
    found = f'found {brief_repr(given)}'
    choices = item.metadata['choices']
    choices = tuple(choices()) if callable(choices) else choices
    if choices and given not in choices:
        hint = did_you_mean(given, choices)
        raise AvdetError(f'{place}: expected one of {", ".join(choices)}, {found}{hint}')
    if kind in (bool, str):
        if not isinstance(given, kind):
            expected = 'true or false' if kind is bool else 'text'
            raise AvdetError(f'{place}: expected {expected}, {found}')
        return given
    low, high = item.metadata['low'], item.metadata['high']
    allowed = int if kind is int else int | float
    if isinstance(given, bool) or not isinstance(given, allowed) or not low <= given <= high:
        number = 'a whole number' if kind is int else 'a number'
        raise AvdetError(f'{place}: expected {number} from {low:g} to {high:g}, {found}')
    return kind(given)


def _join(path: str, key: str) -> str:
    return f'{path}.{key}' if path else key
