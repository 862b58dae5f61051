"""Recipes: YAML files that say how a model is made, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
import difflib
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from avdet_ros.errors import AvdetError

T = TypeVar('T')

MODELS = ('steered', 'image_grid', 'spectrogram_axes')
"""The students, see `avdet_ros.training.students`."""


def value(default: Any, low: float = 0.0, high: float = 0.0, choices: tuple[str, ...] = ()) -> Any:
    """A field of a recipe: its default, and the range or the choices it has."""
    return field(default=default, metadata={'low': low, 'high': high, 'choices': choices})


@dataclass(frozen=True)
class DataRecipe:
    """How many windows are simulated where there are none yet.

    Attributes:
        train: windows to learn from.
        val: windows to watch, choose and calibrate with.
        test: windows that only the final scores are computed on.
    """

    train: int = value(12000, 32, 10_000_000)
    val: int = value(1500, 32, 1_000_000)
    test: int = value(1500, 32, 1_000_000)


@dataclass(frozen=True)
class FitRecipe:
    """How the network is fitted.

    Attributes:
        epochs: passes over the training windows, at most.
        batch: windows a step.
        learning_rate: AdamW's largest one; it rises for 5 % of the steps, then follows a cosine.
        weight_decay: AdamW's.
        patience: epochs without a better validation mAP after which fitting ends.
        seed: of weights, order and augmentation.
        windows: learn from the first so many windows only; 0 takes all.
        precision: ``bf16-mixed`` is faster where the processor has such numbers, and needs half of
            the memory; ``32-true`` everywhere.
        average: decay per step of the running mean of the weights that is kept as the model.
    """

    epochs: int = value(40, 1, 10_000)
    batch: int = value(32, 2, 4096)
    learning_rate: float = value(2e-3, 1e-7, 1.0)
    weight_decay: float = value(0.02, 0.0, 1.0)
    patience: int = value(15, 1, 10_000)
    seed: int = value(0, 0, 2**31)
    windows: int = value(0, 0, 10_000_000)
    average: float = value(0.998, 0.0, 0.99999)
    precision: str = value('32-true', choices=('32-true', 'bf16-mixed'))


@dataclass(frozen=True)
class LossRecipe:
    """Weights of the loss's terms beside the focal one, whose weight is 1.

    Attributes:
        huber: offsets and log sizes.
        giou: generalised IoU.
    """

    huber: float = value(1.0, 0.0, 100.0)
    giou: float = value(2.0, 0.0, 100.0)


@dataclass(frozen=True)
class Augmentation:
    """What `avdet_ros.training.augment` changes about the windows; 0 or False changes nothing.

    Attributes:
        mirror: exchange left and right in half of the windows.
        gain_db: overall level, uniform within plus and minus this.
        channel_gain_db: standard deviation of each microphone's level.
        mask_bands: up to this many neighbouring mel bands are hidden.
        mix: part of the windows to which another one of the batch is added, with its boxes.
    """

    mirror: bool = value(True)
    gain_db: float = value(6.0, 0.0, 40.0)
    channel_gain_db: float = value(0.5, 0.0, 20.0)
    mask_bands: int = value(8, 0, 80)
    mix: float = value(0.0, 0.0, 1.0)


@dataclass(frozen=True)
class StudentRecipe:
    """A student taught with the simulator's boxes.

    Attributes:
        model: see `avdet_ros.training.students`.
        data: the windows.
        fit: the fitting.
        loss: the loss.
        augmentation: what is changed about the windows.
    """

    model: str = value('steered', choices=MODELS)
    data: DataRecipe = field(default_factory=DataRecipe)
    fit: FitRecipe = field(default_factory=FitRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class ComparisonRecipe:
    """Several students on the same windows, each with several seeds.

    Attributes:
        models: the students.
        seeds: each student is taught once with each.
        student: how; its model and seed are replaced.
    """

    models: tuple[str, ...] = value(MODELS, choices=MODELS)
    seeds: tuple[int, ...] = value((0, 1, 2), 0, 2**31)
    student: StudentRecipe = field(default_factory=StudentRecipe)


KINDS: dict[str, type] = {'student': StudentRecipe, 'comparison': ComparisonRecipe}
"""What a recipe's first key, ``kind``, can say."""


def read_recipe(path: str | Path) -> Any:
    """Read and check a recipe.

    Args:
        path: a YAML file; ``kind`` is a key of `KINDS` (student, if left out), all other keys are
            the fields of that dataclass; what is left out has its default.

    Returns:
        One of the dataclasses of `KINDS`.

    Raises:
        AvdetError: the file cannot be read, a key is unknown (the message names the nearest known
            one), or a value is not what it may be.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise AvdetError(f'cannot read the recipe {path}: {error.strerror}') from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise AvdetError(f'{path} is not YAML: {" ".join(str(error).split())}') from error
    tree = {} if tree is None else tree
    kind = 'student'
    if isinstance(tree, dict):
        kind = tree.pop('kind', kind)
        if not isinstance(kind, str) or kind not in KINDS:
            raise AvdetError(
                f'{path}: kind: expected one of {", ".join(KINDS)}, found {repr(kind)[:60]}'
                + _did_you_mean(kind, KINDS)
            )
    return fill(KINDS[kind], tree, str(path))


def as_yaml(recipe: Any) -> str:
    """The text that `read_recipe` makes the same recipe of, every key spelled out."""
    kind = next(name for name, its_type in KINDS.items() if type(recipe) is its_type)
    return yaml.safe_dump({'kind': kind, **_plain(asdict(recipe))}, sort_keys=False)


def _plain(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _plain(item) for key, item in tree.items()}
    return list(tree) if isinstance(tree, tuple) else tree


def fill(kind: type[T], tree: Any, where: str, path: str = '') -> T:
    """Make a dataclass of a YAML tree; see `read_recipe`.

    Args:
        kind: the dataclass.
        tree: what YAML gave.
        where: the file, for messages.
        path: the keys that lead to the tree, for messages.
    """
    if not isinstance(tree, dict):
        place = path or 'the recipe'
        raise AvdetError(f'{where}: {place}: expected keys with values, found {repr(tree)[:60]}')
    known = {item.name: item for item in fields(kind)}
    for key in tree:
        if key not in known:
            raise AvdetError(
                f'{where}: {_join(path, str(key)[:60])}: expected one of '
                f'{", ".join(known)}, found an unknown key' + _did_you_mean(key, known)
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
    return kind(**values)


def _checked(kind: Any, given: Any, item: Any, place: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(given, list) or not given:
            raise AvdetError(f'{place}: expected a list, found {repr(given)[:60]}')
        return tuple(_checked(get_args(kind)[0], each, item, place) for each in given)
    found = f'found {repr(given)[:60]}'
    choices = item.metadata['choices']
    if choices and given not in choices:
        hint = _did_you_mean(given, choices)
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


def _did_you_mean(given: Any, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(given), list(known), n=1, cutoff=0.5)
    return f'; did you mean {near[0]}?' if near else ''


def _join(path: str, key: str) -> str:
    return f'{path}.{key}' if path else key
