"""Parts of a recipe: data, networks, teachers, transfer, fitting, augmentation."""

from __future__ import annotations

from dataclasses import dataclass

from avdet_ros.fields import value
from avdet_ros.training.registries import LOSSES, PRETEXTS, STUDENTS, TEACHERS

MODALITIES = ('rgb', 'depth', 'thermal')


def transfer_losses() -> tuple[str, ...]:
    """Return the allowed values of ``transfer.loss``."""
    return ('none', *LOSSES.names())


def pretext_tasks() -> tuple[str, ...]:
    """Return the allowed values of ``pretext.task``."""
    return ('none', *PRETEXTS.names())


@dataclass(frozen=True)
class WindowsRecipe:
    """Number of windows to simulate if there are none yet; for ``labels: simulated``.

    Attributes:
        train: training windows.
        val: windows to monitor training, choose the epoch and calibrate scores.
        test: windows for the final scores only.
    """

    train: int = value(12000, 32, 10_000_000)
    val: int = value(1500, 32, 1_000_000)
    test: int = value(1500, 32, 1_000_000)


@dataclass(frozen=True)
class NetworkRecipe:
    """The student's network.

    Attributes:
        model: a student of `avdet_ros.training.networks`.
        config_name: of ``paper``: an effdet configuration. Its input has the teachers' size and
            its anchors have their scale, `TeachersRecipe.anchor_scale`.
        scaling: of ``paper``: ``own`` feeds levels from 0 to 1, as printed; ``released`` feeds
            decibels and pads pools with zeros, as the authors' program does.
    """

    model: str = value('steered', choices=STUDENTS.names)
    config_name: str = value('tf_efficientdet_d2')
    scaling: str = value('own', choices=('own', 'released'))


@dataclass(frozen=True)
class TeachersRecipe:
    """The teachers: detectors that see the cameras' pictures.

    Attributes:
        model: a teacher of `avdet_ros.training.teachers`.
        folder: has one folder per modality, made by ``avdet train teacher``; '' trains the
            teachers in the run itself on the data set's true boxes. The student never learns from
            drives that the teachers are recorded to have learned from.
        labels: folder of label files made by ``avdet train label``, relative to the data set's
            folder; '' lets the teachers label the drives in the run.
        modalities: which teachers there are; all of them make the labels that scores are
            computed against. With ready ``labels``, none named means all that are in them.
        config_name: an effdet configuration; the paper's is ``tf_efficientdet_d2``.
        height: of their input, pixels, a multiple of 128; the paper's is 768.
        width: of their input.
        anchor_scale: smallest anchor in strides of its level; smaller ones suit smaller inputs.
            With ready teachers, it applies to the paper's student only.
        crop: use only the paper's columns, 200 to 1720 of 1920.
        scaling: how pictures become numbers, see `training.data.camera_frames.SCALINGS`; ``wide``
            keeps contrast in thermal pictures of cold days. Ready teachers keep their own.
        score: boxes with a lower score are not used as labels; 0.3 is the paper's. Poorly trained
            teachers are often wrong below 0.5.
        share: share of the training drives that the teachers are trained on, if ``folder`` names
            no ready ones; the student never learns from these drives.
        epochs: passes over these drives' frames.
        batch: frames per step.
        learning_rate: AdamW's; it falls to 0 along a cosine.
        seed: of weights, order and flips.
    """

    model: str = value('efficientdet', choices=TEACHERS.names)
    folder: str = value('')
    labels: str = value('')
    modalities: tuple[str, ...] = value((), choices=MODALITIES)
    config_name: str = value('tf_efficientdet_d2')
    height: int = value(768, 128, 4096)
    width: int = value(768, 128, 4096)
    anchor_scale: float = value(4.0, 0.5, 16.0)
    crop: bool = value(True)
    scaling: str = value('own', choices=('own', 'wide', 'released'))
    score: float = value(0.3, 0.3, 0.99)
    share: float = value(0.5, 0.05, 0.95)
    epochs: int = value(30, 1, 10_000)
    batch: int = value(8, 1, 4096)
    learning_rate: float = value(1e-3, 1e-7, 1.0)
    seed: int = value(0, 0, 2**31)


@dataclass(frozen=True)
class PretextRecipe:
    """An easier task to train on first; the student starts from its weights.

    Attributes:
        task: a pretext of `avdet_ros.training.pretexts`, or ``none``.
        epochs: passes over the windows; 0 leaves the pretext out.
        batch: windows per step.
        learning_rate: AdamW's.
        most: highest count of ``counting``; larger counts are clamped to it.
        freeze: freeze the encoder after the pretext and train only the head on boxes, which shows
            what the pretext contributes.
    """

    task: str = value('counting', choices=pretext_tasks)
    epochs: int = value(0, 0, 10_000)
    batch: int = value(32, 2, 4096)
    learning_rate: float = value(1e-3, 1e-7, 1.0)
    most: int = value(13, 1, 100)
    freeze: bool = value(False)

    @property
    def wanted(self) -> bool:
        """Whether there is a pretext."""
        return self.epochs > 0 and self.task != 'none'


@dataclass(frozen=True)
class TransferRecipe:
    """How the student learns from the teachers' features, in addition to their boxes.

    Attributes:
        teachers: those whose boxes and features the student learns, some of the available ones;
            none named means all of them.
        loss: ``none``, or a loss of `avdet_ros.training.losses`.
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

    teachers: tuple[str, ...] = value((), choices=MODALITIES)
    loss: str = value('none', choices=transfer_losses)
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
class FitRecipe:
    """How the network is trained.

    Attributes:
        epochs: passes over the training windows, at most.
        batch: windows per step.
        learning_rate: the highest one of AdamW; it rises for 5 % of the steps, then follows a
            cosine.
        weight_decay: AdamW's.
        patience: epochs without a better validation mAP after which training ends.
        seed: of weights, order and augmentation.
        windows: train on only this many windows, evenly over the set; 0 takes all.
        drives: learn boxes from only this share of the drives, drawn by the seed and repeated, so
            that an epoch keeps its length; the pretext learns from all.
        average: decay per step of the running mean of the weights that is kept as the model.
        precision: ``bf16-mixed`` is faster on processors that support bfloat16, and needs half of
            the memory; ``32-true`` works everywhere.
        schedule: ``cosine`` with AdamW and a short rise, or ``plateau`` with Adam, the paper's:
            the rate falls by a factor of ten after five epochs without a better validation score.
        start: weights to start from, '' for random ones: ``checkpoints/best.ckpt`` of a run with
            the same student, or ``best.pt`` of one for any array, or a model file for any array.
        doubts: for ``any_array`` with start weights: ignore labels that the network it starts from
            does not detect at all, and directions where it detects an unlabelled vehicle
            (`training.any_array.doubts`).
        hold: for ``any_array`` with start weights: weight of the loss that holds the start
            network's own predictions where labels are open (`training.any_array.fitting.holding`).
    """

    epochs: int = value(40, 1, 10_000)
    batch: int = value(32, 2, 4096)
    learning_rate: float = value(2e-3, 1e-7, 1.0)
    weight_decay: float = value(0.02, 0.0, 1.0)
    patience: int = value(15, 1, 10_000)
    seed: int = value(0, 0, 2**31)
    windows: int = value(0, 0, 10_000_000)
    drives: float = value(1.0, 0.0001, 1.0)
    average: float = value(0.998, 0.0, 0.99999)
    precision: str = value('32-true', choices=('32-true', 'bf16-mixed', '16-mixed'))
    schedule: str = value('cosine', choices=('cosine', 'plateau'))
    start: str = value('')
    doubts: bool = value(False)
    hold: float = value(0.0, 0.0, 1000.0)


@dataclass(frozen=True)
class LossRecipe:
    """Weights of the box loss's terms relative to the focal one, whose weight is 1.

    Attributes:
        huber: offsets and log sizes of a grid's cells.
        giou: generalised IoU of a grid's boxes.
        box: the box loss over anchors (``paper``).
    """

    huber: float = value(1.0, 0.0, 100.0)
    giou: float = value(2.0, 0.0, 100.0)
    box: float = value(50.0, 0.0, 1000.0)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the windows by `training.data.augment`; 0 or False disables a change.

    Attributes:
        mirror: exchange left and right in half of the windows.
        gain_db: overall level, uniform within plus and minus this.
        channel_gain_db: standard deviation of each microphone's level.
        mask_bands: up to this many neighbouring mel bands are hidden.
        mix: share of the windows to which another one of the batch is added, with its boxes.
        mask_frames: up to this share of the frames, in one piece, is hidden.
        drop_channel: share of the windows in which one microphone is dead.
    """

    mirror: bool = value(True)
    gain_db: float = value(6.0, 0.0, 40.0)
    channel_gain_db: float = value(0.5, 0.0, 20.0)
    mask_bands: int = value(8, 0, 80)
    mix: float = value(0.0, 0.0, 1.0)
    mask_frames: float = value(0.0, 0.0, 0.9)
    drop_channel: float = value(0.0, 0.0, 1.0)
