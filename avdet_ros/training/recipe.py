"""Recipes: YAML files that say how a model is made, checked before anything is computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.shown import shown
from avdet_ros.training.recipe_fields import did_you_mean, fill, value

MODELS = ('steered', 'image_grid', 'spectrogram_axes')
"""The students, see `avdet_ros.training.students`."""


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
                f'{path}: kind: expected one of {", ".join(KINDS)}, found {shown(kind)}'
                + did_you_mean(kind, KINDS)
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
