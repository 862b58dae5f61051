"""Teachers: detectors that see. What one is, how EfficientDet becomes one, how one is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
import hashlib
import json
from pathlib import Path
from typing import Protocol

from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from avdet_ros.dataset.labels import SCORE_THRESHOLD
from avdet_ros.dataset.layout import FrameId
from avdet_ros.dataset.splits import note_drives
from avdet_ros.detection.boxes import Detections
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.detection_metrics import coco_average_precision
from avdet_ros.evaluation.drive_record import TruthFrame
from avdet_ros.files import write_json
from avdet_ros.quoting import brief_repr
from avdet_ros.training.data.camera_frames import MODALITIES, require_modality
from avdet_ros.training.data.labelled_frames import FrameSet, LabelledFrame, collate
from avdet_ros.training.fitting.distributed import count, first_only, rank
from avdet_ros.training.fitting.fit import load_best, refuse_bad_loss, run_fit, save_weights
from avdet_ros.training.losses.anchors import anchor_detection_loss
from avdet_ros.training.losses.attention_alignment import attention_map
from avdet_ros.training.networks.efficientdet import EfficientDetector, load_weights

BOX_WEIGHT = 50.0
"""Of the box loss against the class loss, effdet's own."""


@dataclass(frozen=True)
class TeacherRecipe:
    """How a teacher is built and fitted.

    Attributes:
        modality: rgb, depth or thermal.
        config_name: an effdet configuration; the paper's is ``tf_efficientdet_d2``.
        image_size: height and width of its input; the paper's is (768, 768).
        anchor_scale: smallest anchor in strides of its level; the paper's is 4.
        crop: it sees the paper's columns only, see `canvas_for`.
        epochs: passes over the frames.
        batch: frames a step.
        learning_rate: AdamW's; it falls to 0 along a cosine.
        seed: of weights, order and flips.
    """

    modality: str
    config_name: str = 'tf_efficientdet_d2'
    image_size: tuple[int, int] = (768, 768)
    anchor_scale: float = 4.0
    crop: bool = True
    epochs: int = 30
    batch: int = 8
    learning_rate: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """What a teacher says of one frame.

    Attributes:
        boxes: (N, 4) float32 in pixels of its input.
        scores: (N,) float32, best first.
        attention: P3..P7, each (H, W) float32.
        embedding: (5, C) float32, each level's features averaged over positions.
        features: (C, h, w) float32 of P5.
    """

    boxes: np.ndarray
    scores: np.ndarray
    attention: list[np.ndarray]
    embedding: np.ndarray
    features: np.ndarray


class Teacher(Protocol):
    """Anything that sees vehicles: a detector that gives boxes, scores and feature maps.

    `training.teachers.labelling.label_drives` asks whatever has these; all else takes labels from
    files and does not know who wrote them.

    Attributes:
        modality: rgb, depth or thermal.
        image_size: height and width of its input, pixels.
        crop: it sees the paper's columns only, see `canvas_for`.
        score: boxes below it are not told.
        mark: tells its labels from those of other teachers, for example a hash of its weights.
    """

    modality: str
    image_size: tuple[int, int]
    crop: bool
    score: float
    mark: str

    def ask(self, pictures: Tensor) -> list[Answer]:
        """Look at (B, channels, height, width) network inputs."""


class EfficientDetTeacher:
    """The paper's teacher."""

    def __init__(
        self,
        detector: EfficientDetector,
        modality: str,
        score: float = SCORE_THRESHOLD,
        crop: bool = True,
        mark: str = '',
    ) -> None:
        self.detector = detector.eval()
        self.modality, self.image_size = modality, detector.image_size
        self.score, self.crop, self.mark = score, crop, mark

    @torch.inference_mode()
    def ask(self, pictures: Tensor) -> list[Answer]:
        """See `Teacher`."""
        prediction = self.detector(pictures.to(self.detector.anchors.device))
        found = self.detector.boxes(prediction, self.score)
        maps = [attention_map(level.float()).cpu().numpy() for level in prediction.pyramid]
        means = torch.stack([level.mean(dim=(2, 3)) for level in prediction.pyramid], dim=1)
        return [
            Answer(
                boxes.cpu().numpy(),
                scores.cpu().numpy(),
                [level[index] for level in maps],
                means[index].cpu().numpy(),
                prediction.pyramid[2][index].float().cpu().numpy(),
            )
            for index, (boxes, scores) in enumerate(found)
        ]


class TeacherTask(LightningModule):
    """A detector learning boxes from labelled frames."""

    def __init__(self, detector: EfficientDetector, recipe: TeacherRecipe) -> None:
        super().__init__()
        # Convolutions of few channels a group are a fifth faster with channels last.
        self.detector = detector.to(memory_format=torch.channels_last)
        self.recipe = recipe
        self._found: list[Detections] = []
        self._true: list[TruthFrame] = []

    def training_step(self, batch: tuple[Tensor, list[Tensor]], index: int) -> Tensor:
        """Focal and box loss of one batch."""
        pictures, boxes = batch
        prediction = self.detector(pictures.to(memory_format=torch.channels_last))
        terms = anchor_detection_loss(
            prediction.logits.float(), prediction.offsets.float(), self.detector.anchors, boxes
        )
        loss = terms['class'] + BOX_WEIGHT * terms['box']
        refuse_bad_loss(terms, loss, self, index, f'teacher {self.recipe.modality}')
        named = {
            f'train/{name}': value.detach() for name, value in {**terms, 'loss': loss}.items()
        }
        self.log_dict(named, on_epoch=True, on_step=False, batch_size=len(boxes))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's boxes."""
        self._found, self._true = [], []

    def validation_step(self, batch: tuple[Tensor, list[Tensor]], index: int) -> None:
        """Boxes of one batch."""
        pictures, boxes = batch
        for found, scores in self.detector.boxes(self.detector(pictures), score_threshold=0.02):
            self._found.append(Detections(found.cpu().numpy(), scores.cpu().numpy()))
        self._true += [TruthFrame.of(item.cpu().numpy(), np.arange(len(item))) for item in boxes]

    def on_validation_epoch_end(self) -> None:
        """Average precision over all batches."""
        precision = coco_average_precision(self._true, self._found)
        self.log_dict(
            {
                # Without a box to find nothing is defined; the first epoch is as good as any.
                'val/map': float(np.nan_to_num(precision.mean())),
                'val/map50': float(precision[0]),
                'val/map75': float(precision[5]),
            }
        )

    def configure_optimizers(self) -> dict:
        """AdamW and a cosine."""
        optimizer = torch.optim.AdamW(
            self.detector.parameters(), lr=self.recipe.learning_rate, weight_decay=5e-4
        )
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }


class _NextEpoch(Callback):
    """Tells the frames which epoch it is: flips then depend on seed, epoch and place only."""

    def __init__(self, frames: FrameSet) -> None:
        self.frames = frames

    def on_train_epoch_start(self, trainer: Trainer, task: LightningModule) -> None:
        self.frames.epoch = trainer.current_epoch


def fit_teacher(
    recipe: TeacherRecipe,
    train: Sequence[LabelledFrame],
    val: Sequence[LabelledFrame],
    folder: Path,
    weights: Path | None = None,
    taught_by: Sequence[FrameId] = (),
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> EfficientDetTeacher:
    """Teach a teacher, or go on where a killed run stopped.

    Args:
        recipe: how.
        train: frames to learn from; of other drives than the student's.
        val: frames that choose the epoch.
        folder: gets ``checkpoints/``, ``log/`` and at the end `TEACHER_FILE`.
        weights: a published checkpoint to start from, see `load_weights`.
        taught_by: frames of the drives that no student of this teacher may hear.
        progress: draw a progress bar.
        say: takes a line for people.

    Raises:
        AvdetError: no frames, a folder that was begun otherwise, weights that do not fit, or a
            loss that is not a number.
    """
    require_modality(recipe.modality)
    for name, frames in (('training', train), ('validation', val)):
        if not frames:
            raise AvdetError(f'teacher {recipe.modality}: expected {name} frames, found none')
    first_only(lambda: _begin(folder, recipe, train, weights))
    if taught_by:
        first_only(lambda: note_drives(folder, taught_by))
    seed_everything(recipe.seed, workers=True, verbose=False)
    detector = _fresh(recipe)
    if weights is not None:
        fresh = load_weights(detector, weights)
        say(f'{weights}: all layers taken but {", ".join(fresh) or "none"}')
    size = {'modality': recipe.modality, 'image_size': recipe.image_size, 'crop': recipe.crop}
    learn = FrameSet(list(train), **size, flip=True, seed=recipe.seed, say=say)
    watch = FrameSet(list(val), **size, say=say)
    several, own = count(), max(1, recipe.batch // count())
    order = DistributedSampler(learn, several, rank(), seed=recipe.seed)
    best = run_fit(
        TeacherTask(detector, recipe),
        DataLoader(
            learn, own, sampler=order, collate_fn=collate, drop_last=len(learn) > recipe.batch
        ),
        DataLoader(watch, own, collate_fn=collate),
        folder,
        epochs=recipe.epochs,
        seed=recipe.seed,
        watch='val/map',
        largest=True,
        precision='16-mixed' if torch.cuda.is_available() else '32-true',
        clip=10.0,
        progress=progress,
        callbacks=[_NextEpoch(learn)],
    )
    load_best(detector, best, 'detector.')
    teacher = EfficientDetTeacher(detector, recipe.modality, crop=recipe.crop)
    first_only(lambda: save_teacher(teacher, recipe, folder))
    return teacher


def _begin(
    folder: Path, recipe: TeacherRecipe, train: Sequence[LabelledFrame], weights: Path | None
) -> None:
    """Note how a teacher is begun, or see that it goes on so; epochs alone may be added."""
    pictures = '\n'.join(sorted(str(frame.path.resolve()) for frame in train))
    about = {
        **asdict(recipe),
        'image_size': list(recipe.image_size),
        'weights': str(weights or ''),
        'frames': f'{len(train)} of {hashlib.sha256(pictures.encode()).hexdigest()[:12]}',
    }
    path = folder / 'begun.json'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(json.dumps(about, indent=1), encoding='utf-8')
        before = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise AvdetError(f'cannot begin a teacher in {folder}: {error!s:.100}') from error
    for key, wanted in about.items():
        if key != 'epochs' and (not isinstance(before, dict) or before.get(key) != wanted):
            found = before.get(key) if isinstance(before, dict) else before
            raise AvdetError(
                f'{folder}: a teacher was begun there with other settings: {key}: expected '
                f'{brief_repr(wanted)}, found {brief_repr(found)}; choose another folder'
            )


def _fresh(recipe: TeacherRecipe) -> EfficientDetector:
    return EfficientDetector(
        recipe.config_name, MODALITIES[recipe.modality], recipe.image_size, recipe.anchor_scale
    )


TEACHER_FILE = 'teacher.pt'
"""Weights of a finished teacher; ``teacher.json`` beside it says what network they are of."""


def save_teacher(teacher: EfficientDetTeacher, recipe: TeacherRecipe, folder: Path) -> None:
    """Write a teacher's weights and its recipe."""
    write_json(folder / 'teacher.json', asdict(recipe))
    save_weights(folder / TEACHER_FILE, teacher.detector.network.state_dict())


def load_teacher(folder: Path, score: float = SCORE_THRESHOLD) -> EfficientDetTeacher:
    """Read what `save_teacher` wrote.

    Args:
        folder: with weights and recipe.
        score: boxes below it are not told.

    Raises:
        AvdetError: a file is missing or does not fit.
    """
    try:
        tree = json.loads((folder / 'teacher.json').read_text())
        recipe = TeacherRecipe(**{**tree, 'image_size': tuple(tree['image_size'])})
        detector = _fresh(recipe)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AvdetError(
            f'{folder}: expected a teacher made by avdet train teacher, found {error!s:.100}'
        ) from error
    new = load_weights(detector, folder / TEACHER_FILE)
    if new:
        raise AvdetError(
            f'{folder / TEACHER_FILE}: expected the weights of a finished teacher, found other '
            f'shapes for {", ".join(new)}; avdet train teacher --weights starts from such a file'
        )
    mark = hashlib.sha256((folder / TEACHER_FILE).read_bytes()).hexdigest()[:16]
    return EfficientDetTeacher(detector, recipe.modality, score, recipe.crop, mark)
