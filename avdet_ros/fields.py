"""Allowed values, and their common check for parameters, recipes, rig files and model metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
import math
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import brief_repr, did_you_mean

LONGEST_TEXT = 4096
"""Maximum number of characters of a text, the same as that of a path."""

Choices = tuple[str, ...] | Callable[[], Iterable[str]]
"""Allowed texts, or a function that returns them when a value is checked, e.g. for a registry."""

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
    """Type and range of a value.

    Attributes:
        kind: bool, int, float, str, or list for a list of texts.
        low: minimum of a number.
        high: maximum of a number.
        choices: the only texts allowed; for a list, those of its items.
    """

    kind: type
    low: float = -math.inf
    high: float = math.inf
    choices: Choices = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The choices that currently exist."""
        return tuple(self.choices()) if callable(self.choices) else self.choices

    def expected(self) -> str:
        """Describe what a value must be."""
        if options := self.options:
            return ('some of ' if self.kind is list else 'one of ') + ', '.join(options)
        name = _KINDS[self.kind]
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f'{name} from {self.low:g} to {self.high:g}'
        if math.isfinite(self.low):
            return f'{name} of at least {self.low:g}'
        return name

    def check(self, value: Any, where: str) -> Any:
        """Check a value and return it in the field's type; integers are accepted as floats.

        Args:
            value: any value from a file or a program.
            where: name of the value, for the message.

        Raises:
            AvdetError: the value has the wrong type, or is not in the range or among the choices.
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
        except OverflowError:  # an integer too large for floating point
            raise self._error(value, where) from None

    def parse(self, text: str, where: str) -> Any:
        """Convert a text, e.g. from a command line, to a checked value; see `check`."""
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
        name: name in ROS.
        default: default value; its type is the parameter's: bool, int, float, str or list of str.
        description: one sentence for users, with the unit.
        low: minimum of a number.
        high: maximum of a number.
        choices: the only texts allowed; for a list, those of its items.
        live: whether it may be changed while the node is active.
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
        """Type and range of its values."""
        return Field(self.kind, self.low, self.high, self.choices)

    def check(self, value: Any) -> Any:
        """Check a value and return it in the parameter's type; see `Field.check`."""
        return self.field.check(value, f'parameter {self.name}')

    def parse(self, text: str) -> Any:
        """Convert a text from a command line to a checked value; see `Field.check`."""
        return self.field.parse(text, f'parameter {self.name}')

    def expected(self) -> str:
        """Describe what a value must be."""
        return self.field.expected()


def find(params: Iterable[Param], name: str) -> Param:
    """Return the parameter with a name.

    Raises:
        AvdetError: there is none; the message names the most similar one.
    """
    known = {param.name: param for param in params}
    if name not in known:
        raise AvdetError(unknown(name, known))
    return known[name]


def unknown(name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown parameter, with the most similar known name."""
    hint = did_you_mean(name, known)
    return f'parameter {name}: expected a known name, found an unknown one{hint}'


def value(
    default: Any,
    low: float = -math.inf,
    high: float = math.inf,
    choices: Choices = (),
) -> Any:
    """Make a dataclass field of a recipe with its default, range and choices."""
    return field(default=default, metadata={'low': low, 'high': high, 'choices': choices})


def fill(kind: type[T], tree: Any, where: str, path: str = '') -> T:
    """Make a dataclass from a YAML tree; see `training.recipes.read`.

    Args:
        kind: the dataclass.
        tree: the parsed YAML.
        where: name of the file, for messages.
        path: keys that lead to the tree, for messages.
    """
    if not isinstance(tree, dict):
        place = path or 'the recipe'
        raise AvdetError(f'{where}: {place}: expected keys with values, found {brief_repr(tree)}')
    items = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for key in tree:
        if key not in items:
            name = key[:60] if isinstance(key, str) else brief_repr(key)
            raise AvdetError(
                f'{where}: {_join(path, name)}: expected one of '
                f'{", ".join(items)}, found an unknown key' + did_you_mean(key, items)
            )
    types = get_type_hints(kind)
    values = {}
    for name, item in items.items():
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
    except AvdetError as error:  # each value is valid, but not their combination
        raise AvdetError(f'{where}: {error}') from error


def _checked(kind: Any, entered: Any, item: Any, place: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(entered, list) or (not entered and item.default != ()):
            raise AvdetError(f'{place}: expected a list, found {brief_repr(entered)}')
        return tuple(
            _checked(get_args(kind)[0], item_value, item, place) for item_value in entered
        )
    return Field(kind, **item.metadata).check(entered, place)


def _join(path: str, key: str) -> str:
    return f'{path}.{key}' if path else key
