"""Registries of named classes, with one folder of modules for each kind.

To add a source, a tracker or another class of a kind, add one file to the kind's folder:

    @SOURCES.register
    class NoiseSource:
        name = 'noise'

Another package adds a class by an entry point in the group named like the folder's module, e.g.
``avdet_ros.sources``. All lists of choices are made from the names in the registry.
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
        """Make an empty registry; nothing is imported before `names` or `find`.

        Args:
            kind: kind of the classes, for errors, e.g. ``source``.
            package: module name of the folder, and group of other packages' entry points.
        """
        self.kind, self.package = kind, package
        self._classes: dict[str, type[T]] = {}
        self._complete = False

    def register(self, added: type[T]) -> type[T]:
        """Add a class; used as a decorator.

        Raises:
            AvdetError: the class has no name, or another class has the same.
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
                f'{self.kind} {name}: expected a unique name, found that of '
                f'{known.__module__}.{known.__qualname__}'
            )
        self._classes[name] = added
        return added

    def names(self) -> tuple[str, ...]:
        """Return all names: those of the folder, then those of other packages."""
        self._load()
        return tuple(self._classes)

    def classes(self) -> tuple[type[T], ...]:
        """Return the classes, in the order of `names`."""
        self._load()
        return tuple(self._classes.values())

    def find(self, name: str) -> type[T]:
        """Return the class with a name.

        Raises:
            AvdetError: there is none; the message lists all names and the most similar one.
        """
        names = self.names()
        if name not in names:
            raise AvdetError(
                f'{self.kind}: expected one of {", ".join(names)}, found '
                f'{brief_repr(name)}{did_you_mean(name, names)}'
            )
        return self._classes[name]

    def _load(self) -> None:
        """Import the folder's modules, then the classes of other packages, once."""
        if self._complete:
            return
        self._complete = True  # first: a module may ask for names while it is imported
        folder = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(folder.__path__):
            if not module.ispkg:
                importlib.import_module(f'{self.package}.{module.name}')
        # The order must not depend on which module happened to be imported first.
        self._classes = dict(sorted(self._classes.items(), key=lambda item: item[1].__module__))
        for entry in sorted(_installed().select(group=self.package), key=lambda e: e.name):
            try:
                self.register(entry.load())
            except Exception as error:  # an error of another package must not stop this one
                _logger.warning(
                    '%s %s of another package cannot be used: %s: %s',
                    self.kind,
                    entry.name,
                    type(error).__name__,
                    one_line(error),
                )


@cache
def _installed() -> Any:
    """Return the entry points of all packages; shared, since the search takes 50 ms."""
    return entry_points()
