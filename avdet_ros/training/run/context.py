"""The context that all stages of a run share: recipe, data, rig and folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
import logging
from pathlib import Path

from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import LABELS, require_labels
from avdet_ros.dataset.splits import DriveSplit, by_drive, keep_split, read_split, without_taught
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.on_dataset import dataset_rig
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig, load_rig
from avdet_ros.training.fitting.distributed import rank_zero_first
from avdet_ros.training.fitting.run_folder import begin_run
from avdet_ros.training.networks.base import AnyArray
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import STUDENTS
from avdet_ros.training.teachers.base import Teacher

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunContext:
    """The settings that all stages of a run share.

    Attributes:
        recipe: settings.
        data: folder of the simulated windows, or of the drives.
        rig: microphones and camera.
        out: the run's folder.
        split: drives for each use, None for simulated windows.
        teachers: folder of the teachers.
        labels: folder of the teachers' labels, None if there are none.
        progress: displays the progress.
        rig_path: the rig's file, None to use the drives' own.
        ready_teachers: teachers by modality, which need not be trained or loaded.
    """

    recipe: StudentRecipe
    data: Path
    rig: Rig
    out: Path
    split: DriveSplit | None
    teachers: Path
    labels: Path | None
    progress: Progress = SILENT
    rig_path: Path | None = None
    ready_teachers: Mapping[str, Teacher] | None = None

    @property
    def input_kind(self) -> str:
        """Kind of the features that the student receives."""
        return STUDENTS.find(self.recipe.student.model).input_kind


def open_run(
    recipe: StudentRecipe,
    data: Path | None,
    out: Path,
    resume: bool = True,
    rig_path: Path | None = None,
    progress: Progress = SILENT,
    labels: Path | None = None,
    ready_teachers: Mapping[str, Teacher] | None = None,
) -> RunContext:
    """Begin or resume a run.

    Args:
        recipe: settings.
        data: see `avdet_ros.training.run.train.train`.
        out: the run's folder.
        resume: continue from existing results; False starts over.
        rig_path: the rig to train for.
        progress: displays the progress.
        labels: folder of labels to share between runs; None keeps them in the run's folder.
        ready_teachers: teachers by modality, in place of those that the recipe names.

    Raises:
        AvdetError: recipe, data or folders are invalid.
    """
    if data is not None and layout.is_dataset(data) and recipe.labels == 'simulated':
        recipe = labelled_as_found(recipe, data)
    split = None
    if recipe.labels == 'simulated' or _is_simulated(recipe, data):
        rig = load_rig(rig_path)
    else:
        split, rig = _open_drives(recipe, data, rig_path, ready_teachers)
    run = RunContext(
        recipe,
        data or out.parent / 'windows',
        rig,
        out,
        split,
        Path(recipe.teachers.folder) if recipe.teachers.folder else out / 'teachers',
        _labels_folder(recipe, data, labels or out / LABELS),
        progress,
        Path(rig_path) if rig_path else None,
        ready_teachers,
    )
    if split is None and run.input_kind != 'window':
        raise AvdetError(
            f'student.model: expected a student of pooled windows for labels: simulated, found '
            f'{recipe.student.model}, which takes {run.input_kind}'
        )
    rank_zero_first(lambda: begin_run(out, recipe, resume))
    if split is not None:
        rank_zero_first(lambda: keep_split(out, split))
    return run


def labelled_as_found(recipe: StudentRecipe, data: Path) -> StudentRecipe:
    """Adapt a recipe for simulated windows to drives: teachers' labels if there are any.

    Recipes from before the key ``labels`` existed used the labels that the data set contained.
    """
    labelled = any((data / LABELS).glob('*.npz'))
    found = 'teachers' if labelled else 'truth'
    _logger.warning(
        '%s holds drives: labels: simulated is read as labels: %s; set this in the recipe',
        data,
        found,
    )
    if not labelled:
        return replace(recipe, labels='truth')
    teachers = replace(recipe.teachers, labels=LABELS)
    return replace(recipe, labels='teachers', teachers=teachers)


def _open_drives(
    recipe: StudentRecipe,
    data: Path | None,
    rig_path: Path | None,
    ready_teachers: Mapping[str, Teacher] | None,
) -> tuple[DriveSplit, Rig]:
    """Return the split of the drives, and the rig they were recorded with."""
    if data is None:
        raise AvdetError(
            f'labels: {recipe.labels}: expected --data, a folder of drives in the MAVD layout, '
            'found none; avdet sim drives makes one'
        )
    ready = recipe.teachers.folder
    taught_here = recipe.makes_labels and not ready and not ready_teachers
    split = read_split(data, recipe.teachers.share if taught_here else 0.0, recipe.subset)
    if ready:
        places = [Path(ready) / name for name in recipe.teachers.modalities]
        split = without_taught(split, places)
    if not recipe.makes_labels:
        require_labels(data, by_drive(split.student), recipe.labels, _labels_folder(recipe, data))
    drives = list(by_drive(split.student))
    # A student for any rig uses each drive's own.
    return split, dataset_rig(data, drives[:1] if _any_rig(recipe) else drives, rig_path)


def _any_rig(recipe: StudentRecipe) -> bool:
    return STUDENTS.find(recipe.student.model) is AnyArray


def _is_simulated(recipe: StudentRecipe, data: Path | None) -> bool:
    """Whether the data are simulated windows of drawn arrays, which have no drives on disk."""
    return _any_rig(recipe) and data is not None and (data / 'train' / 'windows.json').is_file()


def _labels_folder(
    recipe: StudentRecipe, data: Path | None, made: Path | None = None
) -> Path | None:
    if recipe.teachers.labels and data is not None:
        return data / recipe.teachers.labels
    return made if recipe.makes_labels else None
