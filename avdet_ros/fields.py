"""What a value may be: the one check of parameters, recipes, rig files and model metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
import math
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import brief_repr, did_you_mean

LONGEST_TEXT = 4096
"""Characters of a text: paths have at most as many."""

Choices = tuple[str, ...] | Callable[[], Iterable[str]]
"""Allowed texts; those of a registry as a function, called when a value is checked."""

T = TypeVar('T')

_KINDS = {
    bool: 'true or false',
    str: 'a text',
    list: 'a list of texts',
    int: 'a whole number',
    float: 'a number',
}


@dataclass(frozen=True)
class Field:
    """What a value may be.

    Attributes:
        kind: bool, int, float, str, or list for a list of texts.
        low: least value of a number.
        high: greatest value of a number.
        choices: the only texts allowed; for a list, of its items.
    """

    kind: type
    low: float = -math.inf
    high: float = math.inf
    choices: Choices = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The choices there are now."""
        return tuple(self.choices()) if callable(self.choices) else self.choices

    def expected(self) -> str:
        """What a value must be, in words."""
        if options := self.options:
            return ('some of ' if self.kind is list else 'one of ') + ', '.join(options)
        name = _KINDS[self.kind]
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f'{name} from {self.low:g} to {self.high:g}'
        if math.isfinite(self.low):
            return f'{name} of at least {self.low:g}'
        return name

    def check(self, value: Any, where: str) -> Any:
        """The value in the field's own type; a whole number is a number.

        Args:
            value: anything a file or a program can hold.
            where: what it is the value of, for the message.

        Raises:
            AvdetError: it has another type, or lies outside the range or the choices.
        """
        if self.kind is list:
            if isinstance(value, str) or not hasattr(value, '__iter__'):
                raise self._error(value, where)
            return [self._text(item, where) for item in value]
        if self.kind is str:
            return self._text(value, where)
        if isinstance(value, bool) != (self.kind is bool):
            raise self._error(value, where)
        if self.kind is bool:
            return value
        allowed = int if self.kind is int else int | float
        if not isinstance(value, allowed) or not self.low <= value <= self.high:
            raise self._error(value, where)
        try:
            return self.kind(value)
        except OverflowError:  # a whole number beyond what floating point holds
            raise self._error(value, where) from None

    def parse(self, text: str, where: str) -> Any:
        """The value that a text stands for, as on a command line; see `check`."""
        words = {'true': True, 'false': False}
        try:
            if self.kind is bool:
                return words[text.lower()]
            if self.kind in (int, float):
                return self.check(self.kind(text), where)
        except (KeyError, ValueError):
            raise self._error(text, where) from None
        if self.kind is list:
            return self.check([item.strip() for item in text.split(',') if item.strip()], where)
        return self.check(text, where)

    def _text(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or '\0' in value:
            raise self._error(value, where)
        options = self.options
        if options and value not in options:
            raise self._error(value, where, did_you_mean(value, options))
        return value

    def _error(self, value: Any, where: str, hint: str = '') -> AvdetError:
        found = brief_repr(value)
        return AvdetError(f'{where}: expected {self.expected()}, found {found}{hint}')


@dataclass(frozen=True)
class Param:
    """One parameter of a node or a command.

    Attributes:
        name: as ROS knows it.
        default: its type is the parameter's: bool, int, float, str or list of str.
        description: one sentence for people, with the unit.
        low: least value of a number.
        high: greatest value of a number.
        choices: the only texts allowed; for a list, of its items.
        live: may be changed while the node is active.
    """

    name: str
    default: bool | int | float | str | list[str]
    description: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def kind(self) -> type:
        """The type of its values."""
        return type(self.default)

    @property
    def field(self) -> Field:
        """What its values may be."""
        return Field(self.kind, self.low, self.high, self.choices)

    def check(self, value: Any) -> Any:
        """The value in the parameter's own type; see `Field.check`."""
        return self.field.check(value, f'parameter {self.name}')

    def parse(self, text: str) -> Any:
        """The value that a command line's text stands for; see `Field.check`."""
        return self.field.parse(text, f'parameter {self.name}')

    def expected(self) -> str:
        """What a value must be, in words."""
        return self.field.expected()


def find(params: Iterable[Param], name: str) -> Param:
    """A parameter by name.

    Raises:
        AvdetError: there is none; the message names the nearest.
    """
    known = {param.name: param for param in params}
    if name not in known:
        raise AvdetError(unknown(name, known))
    return known[name]


def unknown(name: str, known: Iterable[str]) -> str:
    """That a parameter's name is unknown, and which is the nearest of the known ones."""
    hint = did_you_mean(name, known)
    return f'parameter {name}: expected a known name, found an unknown one{hint}'


def value(
    default: Any,
    low: float = -math.inf,
    high: float = math.inf,
    choices: Choices = (),
) -> Any:
    """A dataclass field of a recipe: its default, and the range or the choices it has."""
    return field(default=default, metadata={'low': low, 'high': high, 'choices': choices})


def fill(kind: type[T], tree: Any, where: str, path: str = '') -> T:
    """Make a dataclass of a YAML tree; see `training.recipes.read`.

    Args:
        kind: the dataclass.
        tree: what YAML gave.
        where: the file, for messages.
        path: the keys that lead to the tree, for messages.
    """
    if not isinstance(tree, dict):
        place = path or 'the recipe'
        raise AvdetError(f'{where}: {place}: expected keys with values, found {brief_repr(tree)}')
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
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
    return Field(kind, **item.metadata).check(given, place)


def _join(path: str, key: str) -> str:
    return f'{path}.{key}' if path else key
