"""Recipes: a student, whatever the source of its labels, and a comparison of students."""

from __future__ import annotations

from dataclasses import dataclass, field

from avdet_ros.dataset.label_filter import FILTERS
from avdet_ros.dataset.subsets import Subset
from avdet_ros.errors import AvdetError
from avdet_ros.fields import value
from avdet_ros.training.recipes.parts import (
    Augmentation,
    FitRecipe,
    LossRecipe,
    NetworkRecipe,
    PretextRecipe,
    TeachersRecipe,
    TransferRecipe,
    WindowsRecipe,
)
from avdet_ros.training.registries import LOSSES, PRETEXTS, STUDENTS

LABELS = ('simulated', 'truth', 'teachers')


@dataclass(frozen=True)
class StudentRecipe:
    """A student: the source of its windows and labels, its network, its training.

    Attributes:
        labels: ``simulated``: windows of simulated drives with the simulator's boxes, generated if
            there are none. ``truth``: drives in the MAVD layout with the true boxes they carry.
            ``teachers``: such drives with the boxes of detectors that see.
        label_filter: which of the teachers' boxes are learned: with ``none`` all of them, else
            those that are ``moving``, ``sounding`` or, by the truth, sounding (``oracle``). The
            others count neither as a vehicle nor as background; see `dataset.label_filter`.
        windows: how many windows are simulated.
        subset: the part of the drives for training, validation and scores of the student.
        student: the network.
        teachers: the detectors that see.
        pretext: an easier task to train on first.
        transfer: what is learned from the teachers in addition to boxes.
        fit: the training.
        loss: weights of the box loss's terms.
        augmentation: random changes of the windows.
    """

    labels: str = value('simulated', choices=LABELS)
    label_filter: str = value('none', choices=FILTERS)
    windows: WindowsRecipe = field(default_factory=WindowsRecipe)
    subset: Subset = field(default_factory=Subset)
    student: NetworkRecipe = field(default_factory=NetworkRecipe)
    teachers: TeachersRecipe = field(default_factory=TeachersRecipe)
    pretext: PretextRecipe = field(default_factory=PretextRecipe)
    transfer: TransferRecipe = field(default_factory=TransferRecipe)
    fit: FitRecipe = field(default_factory=FitRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    augmentation: Augmentation = field(default_factory=Augmentation)

    @property
    def learns_from(self) -> tuple[str, ...]:
        """The teachers whose boxes and features are learned; () means all in the label files."""
        return self.transfer.teachers or self.teachers.modalities

    @property
    def makes_labels(self) -> bool:
        """Whether teachers label the drives in the run itself."""
        return bool(self.teachers.modalities) and not self.teachers.labels

    def __post_init__(self) -> None:
        """Check the conditions that involve several keys.

        Raises:
            AvdetError: values do not go together.
        """
        modalities, wanted = self.teachers.modalities, self.transfer.teachers
        taught = self.labels == 'teachers' or self.transfer.loss != 'none'
        if taught and not modalities and not self.teachers.labels:
            raise AvdetError(
                'teachers.modalities: expected some of rgb, depth, thermal to learn from, found '
                'none'
            )
        if self.labels == 'simulated' and (modalities or self.teachers.labels):
            raise AvdetError(
                'labels: expected truth or teachers for a student of teachers, found simulated: '
                'simulated windows have no pictures'
            )
        for name in ('doubts', 'hold'):
            if getattr(self.fit, name) and not self.fit.start:
                raise AvdetError(
                    f'fit.{name}: expected fit.start, weights of a trained network, found none'
                )
        unknown = [name for name in wanted if name not in modalities]
        if unknown and (modalities or not self.teachers.labels):
            raise AvdetError(
                f'transfer.teachers: expected some of teachers.modalities, '
                f'{", ".join(modalities) or "none"}, found {unknown[0]}'
            )
        for name, names in (('teachers.modalities', modalities), ('transfer.teachers', wanted)):
            if len(set(names)) < len(names):
                raise AvdetError(f'{name}: expected each teacher once, found {", ".join(names)}')
        for name in ('height', 'width'):
            side = getattr(self.teachers, name)
            if side % 128:
                raise AvdetError(f'teachers.{name}: expected a multiple of 128, found {side}')
        if self.fit.drives < 1 and self.student.model == 'any_array':
            raise AvdetError(
                f'fit.drives: expected 1 for any_array, which learns from all, found '
                f'{self.fit.drives:g}'
            )
        if self.pretext.wanted:
            self._check_pretext()
        if self.label_filter != 'none':
            self._check_filter()
        if self.transfer.loss != 'none':
            self._check_transfer()

    def _check_pretext(self) -> None:
        kind = PRETEXTS.find(self.pretext.task)
        needs = kind.needs_of(self)
        if needs and not (self.teachers.modalities or self.teachers.labels):
            able = [name for name in PRETEXTS.names() if not PRETEXTS.find(name).needs_of(self)]
            reason = ': simulated windows have no pictures' if self.labels == 'simulated' else ''
            raise AvdetError(
                f'pretext.task: {self.pretext.task}: expected drives with teachers '
                f'(teachers.labels or teachers.modalities), whose {" and ".join(needs)} it '
                f'compares with the sound, found none{reason}; {", ".join(able)} need none'
            )
        if kind.needs_mirror and not self.augmentation.mirror:
            raise AvdetError(
                f'pretext.task: {self.pretext.task}: expected augmentation.mirror: true and a '
                'symmetric rig, as sound is mirrored, found false'
            )

    def _check_filter(self) -> None:
        name = f'label_filter: {self.label_filter}'
        if self.labels != 'teachers' or not self.teachers.labels:
            raise AvdetError(
                f'{name}: expected labels: teachers with teachers.labels, which a filter was made '
                'for (avdet train label --filter), found others'
            )
        if self.transfer.loss != 'none':
            raise AvdetError(
                f"{name}: expected transfer.loss: none, as the teachers' maps are not filtered, "
                f'found {self.transfer.loss}'
            )
        if not getattr(STUDENTS.find(self.student.model), 'takes_open_areas', False):
            raise AvdetError(
                f'{name}: expected a student that can leave parts of the image open, as steered, '
                f'found {self.student.model}'
            )

    def _check_transfer(self) -> None:
        compares_maps = LOSSES.find(self.transfer.loss).compares_maps
        if compares_maps and not STUDENTS.find(self.student.model).has_maps:
            fitting = [name for name in LOSSES.names() if not LOSSES.find(name).compares_maps]
            raise AvdetError(
                f'transfer.loss: expected {" or ".join([*fitting, "none"])} for '
                f'{self.student.model}, which has no map to align, found {self.transfer.loss}'
            )


@dataclass(frozen=True)
class ComparisonRecipe:
    """Several students on the same windows, each with several seeds.

    Attributes:
        models: the students.
        seeds: each student is trained once with each.
        student: the recipe of all; its model and seed are replaced.
    """

    models: tuple[str, ...] = value(
        ('steered', 'image_grid', 'image_grid_levels', 'spectrogram_axes'), choices=STUDENTS.names
    )
    seeds: tuple[int, ...] = value((0, 1, 2), 0, 2**31)
    student: StudentRecipe = field(default_factory=StudentRecipe)
