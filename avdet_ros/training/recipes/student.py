"""The recipe of a student that is taught by teachers: kind ``mm_distillnet``."""

from __future__ import annotations

from dataclasses import dataclass, field

from avdet_ros.dataset.subsets import Subset
from avdet_ros.errors import AvdetError
from avdet_ros.fields import value
from avdet_ros.training.recipes.parts import MODELS, Augmentation, FitRecipe, LossRecipe

MODALITIES = ('rgb', 'depth', 'thermal')


@dataclass(frozen=True)
class TeachersRecipe:
    """Detectors that see, see `avdet_ros.training.teachers.efficientdet`.

    Attributes:
        folder: has one folder a modality, made by ``avdet train teacher``; '' teaches them in the
            run itself with the data set's true boxes. The student never hears drives that they
            are noted to have learned from.
        modalities: which teachers there are; all of them make the labels that scores are
            computed against.
        config_name: an effdet configuration; the paper's is ``tf_efficientdet_d2``.
        height: of their input, pixels, a multiple of 128; the paper's is 768.
        width: of their input.
        anchor_scale: smallest anchor in strides of its level; smaller ones suit smaller inputs.
            With ready teachers it is the paper's student's alone.
        crop: see the paper's columns 200 to 1720 of 1920 only.
        score: a box of a lower score is no label; 0.3 is the paper's. Teachers that learned little
            are often wrong below 0.5.
        share: part of the training drives that teach the teachers, without a folder of ready ones;
            the student never hears them.
        epochs: passes over these drives' frames.
        batch: frames a step.
        learning_rate: AdamW's; it falls to 0 along a cosine.
        seed: of weights, order and flips.
    """

    folder: str = value('')
    modalities: tuple[str, ...] = value(MODALITIES, choices=MODALITIES)
    config_name: str = value('tf_efficientdet_d2')
    height: int = value(768, 128, 4096)
    width: int = value(768, 128, 4096)
    anchor_scale: float = value(4.0, 0.5, 16.0)
    crop: bool = value(True)
    score: float = value(0.3, 0.3, 0.99)
    share: float = value(0.5, 0.05, 0.95)
    epochs: int = value(30, 1, 10_000)
    batch: int = value(8, 1, 4096)
    learning_rate: float = value(1e-3, 1e-7, 1.0)
    seed: int = value(0, 0, 2**31)


@dataclass(frozen=True)
class PretextRecipe:
    """Counting the vehicles before hearing where they are.

    Attributes:
        epochs: passes over the windows; 0 leaves the pretext out.
        batch: windows a step.
        learning_rate: AdamW's.
        most: highest count; more count as so many.
    """

    epochs: int = value(10, 0, 10_000)
    batch: int = value(32, 2, 4096)
    learning_rate: float = value(1e-3, 1e-7, 1.0)
    most: int = value(13, 1, 100)


@dataclass(frozen=True)
class TransferRecipe:
    """How the teachers' features are handed over, beside their boxes.

    Attributes:
        teachers: whom the student learns from, boxes and features; some of those there are.
        boxes: whose boxes are taught: ``teachers``, or ``truth``, the data set's own, to see what
            it costs to have no labels.
        loss: ``mta``, ``ranking``, ``pairwise``, ``afd`` or ``none``, see `alignment`, `transfer`.
        mta: reading of the paper's equation, ``corrected``, ``as_printed``,
            ``as_released`` or ``as_released_product``, see `losses.attention_alignment`.
        combine: several teachers as the ``product`` of their attention maps, or as their
            ``average``; without attention maps (losses other than mta) always the average.
        weight: of the loss in the sum; the paper's omega.
        beta: of MTA.
        temperature: of MTA.
        levels: how many of P3, P4, ... are aligned.
        margin: of the ranking loss.
    """

    teachers: tuple[str, ...] = value(MODALITIES, choices=MODALITIES)
    boxes: str = value('teachers', choices=('teachers', 'truth'))
    loss: str = value('mta', choices=('mta', 'ranking', 'pairwise', 'afd', 'none'))
    mta: str = value(
        'corrected', choices=('corrected', 'as_printed', 'as_released', 'as_released_product')
    )
    combine: str = value('product', choices=('product', 'average'))
    weight: float = value(0.05, 0.0, 1000.0)
    beta: float = value(0.5, 0.0, 1000.0)
    temperature: float = value(9.0, 0.01, 1000.0)
    levels: int = value(3, 1, 5)
    margin: float = value(0.2, 0.0, 2.0)


@dataclass(frozen=True)
class ListenerRecipe:
    """The student.

    Attributes:
        model: one of `MODELS` (see `students`), ``paper`` or ``stereosoundnet`` (see
            `paper_students`).
        config_name: of ``paper``: an effdet configuration. Its input has the teachers' size and
            its anchors have their scale, `TeachersRecipe.anchor_scale`.
    """

    model: str = value('steered', choices=(*MODELS, 'paper', 'stereosoundnet'))
    config_name: str = value('tf_efficientdet_d2')


@dataclass(frozen=True)
class TaughtFit(FitRecipe):
    """How the student is fitted; see `FitRecipe` for the other keys.

    Attributes:
        schedule: ``cosine`` with AdamW and a short rise, or ``plateau`` with Adam, the paper's:
            the rate falls by ten after five epochs without a better validation score.
    """

    schedule: str = value('cosine', choices=('cosine', 'plateau'))


@dataclass(frozen=True)
class TaughtLoss(LossRecipe):
    """Weights of the box losses' terms; see `LossRecipe` for the other keys.

    Attributes:
        box: of the box loss over anchors (``paper``), whose class loss weighs 1.
    """

    box: float = value(50.0, 0.0, 1000.0)


@dataclass(frozen=True)
class TaughtAugmentation(Augmentation):
    """What is changed about the windows; see `Augmentation` for the other keys.

    Attributes:
        mask_frames: up to this part of the frames, in one piece, is hidden.
        drop_channel: part of the windows in which one microphone is dead.
    """

    mask_frames: float = value(0.0, 0.0, 0.9)
    drop_channel: float = value(0.0, 0.0, 1.0)


@dataclass(frozen=True)
class DistillationRecipe:
    """Teachers, their labels, pretext, distillation.

    Attributes:
        data: the part of the data set that the student is taught, chosen and scored with.
        student: the network that hears.
        teachers: the networks that see.
        pretext: counting first.
        transfer: what is learned beside the boxes.
        fit: the fitting.
        loss: weights of the loss's terms.
        augmentation: what is changed about the windows.
    """

    data: Subset = field(default_factory=Subset)
    student: ListenerRecipe = field(default_factory=ListenerRecipe)
    teachers: TeachersRecipe = field(default_factory=TeachersRecipe)
    pretext: PretextRecipe = field(default_factory=PretextRecipe)
    transfer: TransferRecipe = field(default_factory=TransferRecipe)
    fit: TaughtFit = field(default_factory=TaughtFit)
    loss: TaughtLoss = field(default_factory=TaughtLoss)
    augmentation: TaughtAugmentation = field(default_factory=TaughtAugmentation)

    def __post_init__(self) -> None:
        """Check what depends on several keys.

        Raises:
            AvdetError: values do not go together.
        """
        strangers = [
            name for name in self.transfer.teachers if name not in self.teachers.modalities
        ]
        if strangers:
            raise AvdetError(
                f'transfer.teachers: expected some of teachers.modalities, '
                f'{", ".join(self.teachers.modalities)}, found {strangers[0]}'
            )
        for name, names in (
            ('teachers.modalities', self.teachers.modalities),
            ('transfer.teachers', self.transfer.teachers),
        ):
            if len(set(names)) < len(names):
                raise AvdetError(f'{name}: expected each teacher once, found {", ".join(names)}')
        for name in ('height', 'width'):
            side = getattr(self.teachers, name)
            if side % 128:
                raise AvdetError(f'teachers.{name}: expected a multiple of 128, found {side}')
        if self.student.model == 'stereosoundnet' and self.transfer.loss not in (
            'ranking', 'none',
        ):  # fmt: skip
            raise AvdetError(
                f'transfer.loss: expected ranking or none for stereosoundnet, which has no map '
                f'to align, found {self.transfer.loss}'
            )
        if self.transfer.loss == 'ranking' and self.fit.batch < 2:
            raise AvdetError('fit.batch: expected 2 or more for the ranking loss, found 1')
