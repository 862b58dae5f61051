"""Registries: classes with a name of their own, one folder of modules for each kind.

Adding a source, a tracker or another class of a kind is one new file in the kind's folder:

    @SOURCES.register
    class NoiseSource:
        name = 'noise'

A package outside adds one by an entry point in the group that has the folder's module name, e.g.
``avdet_ros.sources``. Whatever offers a choice reads the names from here.
"""

from __future__ import annotations

from functools import cache
import importlib
from importlib.metadata import entry_points
import logging
import pkgutil
from typing import Any, Generic, TypeVar

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import brief_repr, did_you_mean, one_line

_logger = logging.getLogger(__name__)


T = TypeVar('T')


class Registry(Generic[T]):
    """The classes of one kind by name."""

    def __init__(self, kind: str, package: str) -> None:
        """An empty registry; nothing is imported before `names` or `find`.

        Args:
            kind: what the classes are, for errors, e.g. ``source``.
            package: the folder's module name, and the group of entry points of other packages.
        """
        self.kind, self.package = kind, package
        self._classes: dict[str, type[T]] = {}
        self._complete = False

    def register(self, added: type[T]) -> type[T]:
        """Add a class; to be used as a decorator.

        Raises:
            AvdetError: another class already has its name, or it has none.
        """
        name = getattr(added, 'name', None)
        if not isinstance(name, str) or not name:
            raise AvdetError(
                f'{self.kind} {added.__qualname__}: expected an attribute name, found '
                f'{brief_repr(name)}'
            )
        known = self._classes.setdefault(name, added)
        if (known.__module__, known.__qualname__) != (added.__module__, added.__qualname__):
            raise AvdetError(
                f'{self.kind} {name}: expected a name of its own, found that of '
                f'{known.__module__}.{known.__qualname__}'
            )
        self._classes[name] = added
        return added

    def names(self) -> tuple[str, ...]:
        """The names there are: those of the folder, then those of other packages."""
        self._load()
        return tuple(self._classes)

    def classes(self) -> tuple[type[T], ...]:
        """The classes, in the order of `names`."""
        self._load()
        return tuple(self._classes.values())

    def find(self, name: str) -> type[T]:
        """The class of a name.

        Raises:
            AvdetError: there is none; the message names those there are and the nearest.
        """
        names = self.names()
        if name not in names:
            raise AvdetError(
                f'{self.kind}: expected one of {", ".join(names)}, found '
                f'{brief_repr(name)}{did_you_mean(name, names)}'
            )
        return self._classes[name]

    def _load(self) -> None:
        """Import the folder's modules, then what other packages offer, once."""
        if self._complete:
            return
        self._complete = True  # first: a module may ask for names while it is imported
        folder = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(folder.__path__):
            if not module.ispkg:
                importlib.import_module(f'{self.package}.{module.name}')
        # In one order, whichever module happened to be imported first.
        self._classes = dict(sorted(self._classes.items(), key=lambda item: item[1].__module__))
        for entry in sorted(_installed().select(group=self.package), key=lambda e: e.name):
            try:
                self.register(entry.load())
            except Exception as error:  # another package's fault must not end this one
                _logger.warning(
                    '%s %s of another package cannot be used: %s: %s',
                    self.kind,
                    entry.name,
                    type(error).__name__,
                    one_line(error),
                )


@cache
def _installed() -> Any:
    """Entry points of all packages; looking for them takes 50 ms, so all registries share them."""
    return entry_points()
