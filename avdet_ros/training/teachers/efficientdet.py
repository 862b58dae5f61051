"""EfficientDet as a teacher: training on labelled frames, saving, loading and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from lightning.pytorch import seed_everything
import torch
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from avdet_ros.dataset.labels import SCORE_THRESHOLD
from avdet_ros.dataset.layout import FrameId
from avdet_ros.dataset.splits import note_drives
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_json
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import brief_repr, one_line
from avdet_ros.training.data.camera_frames import MODALITIES, require_modality
from avdet_ros.training.data.labelled_frames import FrameSet, LabelledFrame, blind_frames, collate
from avdet_ros.training.efficientdet.network import EfficientDetector, load_weights
from avdet_ros.training.fitting.distributed import count, rank, rank_zero_first
from avdet_ros.training.fitting.fit import load_best, run_fit, save_weights
from avdet_ros.training.losses.attention_alignment import attention_map
from avdet_ros.training.registries import TEACHERS
from avdet_ros.training.teachers.base import TEACHER_FILE, Teacher, TeacherOutput, TeacherRecipe
from avdet_ros.training.teachers.efficientdet_task import CountEpochs, TeacherTask

LOADERS = 6
"""Maximum number of processes that decode pictures for a GPU."""

_logger = logging.getLogger(__name__)


@TEACHERS.register
class EfficientDetTeacher(Teacher):
    """The paper's teacher."""

    name = 'efficientdet'

    def __init__(
        self,
        detector: EfficientDetector,
        modality: str,
        score: float = SCORE_THRESHOLD,
        crop: bool = True,
        fingerprint: str = '',
        scaling: str = 'own',
    ) -> None:
        self.detector = detector.eval()
        height, width = detector.image_size
        self.modality, self.image_size = modality, (height, width)
        self.score, self.crop, self.fingerprint = score, crop, fingerprint
        self.scaling = scaling

    @torch.inference_mode()
    def predict(self, pictures: Tensor) -> list[TeacherOutput]:
        """See `Teacher`."""
        prediction = self.detector(pictures.to(next(self.detector.parameters()).device))
        found = self.detector.boxes(prediction, self.score)
        maps = [attention_map(level.float()).cpu().numpy() for level in prediction.pyramid]
        means = torch.stack([level.mean(dim=(2, 3)) for level in prediction.pyramid], dim=1)
        return [
            TeacherOutput(
                boxes.cpu().numpy(),
                scores.cpu().numpy(),
                [level[index] for level in maps],
                means[index].cpu().numpy(),
                prediction.pyramid[2][index].float().cpu().numpy(),
            )
            for index, (boxes, scores) in enumerate(found)
        ]

    @classmethod
    def load(cls, folder: Path, score: float = SCORE_THRESHOLD) -> EfficientDetTeacher:
        """See `Teacher.load`."""
        teacher = load_teacher(folder, score, cls)
        teacher.detector.to('cuda' if torch.cuda.is_available() else 'cpu')
        return teacher

    @classmethod
    def fit(
        cls,
        recipe: TeacherRecipe,
        train: Sequence[LabelledFrame],
        val: Sequence[LabelledFrame],
        folder: Path,
        taught_by: Sequence[FrameId] = (),
        progress: Progress = SILENT,
    ) -> EfficientDetTeacher:
        """See `Teacher.fit`."""
        return fit_teacher(recipe, train, val, folder, None, taught_by, progress, cls)

    @staticmethod
    def fresh(recipe: TeacherRecipe) -> EfficientDetector:
        """Build the detector with fresh random weights."""
        return EfficientDetector(
            recipe.config_name,
            MODALITIES[recipe.modality],
            recipe.image_size,
            recipe.anchor_scale,
            recipe.zero_padded_pools,
            recipe.classes,
        )


def fit_teacher(
    recipe: TeacherRecipe,
    train: Sequence[LabelledFrame],
    val: Sequence[LabelledFrame],
    folder: Path,
    weights: Path | None = None,
    taught_by: Sequence[FrameId] = (),
    progress: Progress = SILENT,
    kind: type[EfficientDetTeacher] = EfficientDetTeacher,
) -> EfficientDetTeacher:
    """Train a teacher, or resume an interrupted run.

    Args:
        recipe: settings.
        train: training frames, from other drives than the student's.
        val: frames that select the best epoch.
        folder: receives ``checkpoints/``, ``log/`` and at the end `TEACHER_FILE`.
        weights: a published checkpoint to start from, see `load_weights`.
        taught_by: frames of the drives that no student of this teacher may learn from.
        progress: displays the progress.
        kind: class of the teacher.

    Raises:
        AvdetError: no frames, a folder started with other settings, weights that do not fit, or a
            loss that is not a number.
    """
    require_modality(recipe.modality)
    for name, frames in (('training', train), ('validation', val)):
        if not frames:
            raise AvdetError(f'teacher {recipe.modality}: expected {name} frames, found none')
    rank_zero_first(lambda: _begin(folder, recipe, train, weights, kind.name))
    if taught_by:
        rank_zero_first(lambda: note_drives(folder, taught_by))
    seed_everything(recipe.seed, workers=True, verbose=False)
    detector = kind.fresh(recipe)
    if weights is not None:
        fresh = load_weights(detector, weights)
        _logger.info('%s: all layers taken but %s', weights, ', '.join(fresh) or 'none')
    size: dict[str, Any] = {
        'modality': recipe.modality,
        'image_size': recipe.image_size,
        'crop': recipe.crop,
        'scaling': recipe.scaling,
    }
    if recipe.modality == 'thermal' and (blind := blind_frames(train)):
        _logger.warning('%s', blind)
    learn = FrameSet(list(train), **size, flip=True, seed=recipe.seed)
    watch = FrameSet(list(val), **size)
    several, own = count(), max(1, recipe.batch // count())
    order = DistributedSampler(learn, several, rank(), seed=recipe.seed)
    # One core decodes a picture more slowly than a GPU learns from it.
    workers = min(LOADERS, (os.cpu_count() or 1) // 2) if torch.cuda.is_available() else 0
    load = partial(DataLoader, batch_size=own, collate_fn=collate, num_workers=workers)
    best = run_fit(
        TeacherTask(detector, recipe),
        load(learn, sampler=order, drop_last=len(learn) > recipe.batch),
        load(watch),
        folder,
        epochs=recipe.epochs,
        seed=recipe.seed,
        watch='val/map',
        largest=True,
        precision=fitting_precision(recipe),
        clip=10.0,
        progress=progress,
        callbacks=[CountEpochs(learn)],
    )
    load_best(detector, best, 'detector.')
    teacher = kind(detector, recipe.modality, crop=recipe.crop, scaling=recipe.scaling)
    rank_zero_first(lambda: save_teacher(teacher, recipe, folder))
    return teacher


def fitting_precision(recipe: TeacherRecipe) -> str:
    """Return Lightning's name of the precision that a teacher is trained with on this machine."""
    if torch.cuda.is_available():
        return '16-mixed'
    return 'bf16-mixed' if recipe.bfloat16 else '32-true'


def save_teacher(teacher: EfficientDetTeacher, recipe: TeacherRecipe, folder: Path) -> None:
    """Write a teacher's weights and its recipe."""
    write_json(folder / 'teacher.json', asdict(recipe))
    save_weights(folder / TEACHER_FILE, teacher.detector.network.state_dict())


def load_teacher(
    folder: Path,
    score: float = SCORE_THRESHOLD,
    kind: type[EfficientDetTeacher] = EfficientDetTeacher,
) -> EfficientDetTeacher:
    """Read what `save_teacher` wrote.

    Args:
        folder: contains weights and recipe.
        score: threshold below which boxes are left out.
        kind: class of the teacher.

    Raises:
        AvdetError: a file is missing or does not fit.
    """
    try:
        tree = json.loads((folder / 'teacher.json').read_text())
        recipe = TeacherRecipe(**{**tree, 'image_size': tuple(tree['image_size'])})
        detector = kind.fresh(recipe)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AvdetError(
            f'{folder}: expected a teacher made by avdet train teacher, found {one_line(error)}'
        ) from error
    new = load_weights(detector, folder / TEACHER_FILE)
    if new:
        raise AvdetError(
            f'{folder / TEACHER_FILE}: expected the weights of a finished teacher, found other '
            f'shapes for {", ".join(new)}; avdet train teacher --weights starts from such a file'
        )
    fingerprint = hashlib.sha256((folder / TEACHER_FILE).read_bytes()).hexdigest()[:16]
    if recipe.scaling != 'own':
        fingerprint += f'-{recipe.scaling}'  # other input scaling, other boxes
    return kind(detector, recipe.modality, score, recipe.crop, fingerprint, recipe.scaling)


def _begin(
    folder: Path,
    recipe: TeacherRecipe,
    train: Sequence[LabelledFrame],
    weights: Path | None,
    model: str,
) -> None:
    """Store a teacher's settings or check them against the stored ones; epochs may differ."""
    pictures = '\n'.join(sorted(str(frame.path.resolve()) for frame in train))
    about = {
        **asdict(recipe),
        'image_size': list(recipe.image_size),
        'weights': str(weights or ''),
        **({} if model == EfficientDetTeacher.name else {'model': model}),
        'frames': f'{len(train)} of {hashlib.sha256(pictures.encode()).hexdigest()[:12]}',
    }
    path = folder / 'begun.json'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(json.dumps(about, indent=1), encoding='utf-8')
        before = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise AvdetError(f'cannot begin a teacher in {folder}: {one_line(error)}') from error
    unset = asdict(TeacherRecipe(recipe.modality))
    for key, wanted in about.items():
        # Settings newer than the folder had their default values when it was started.
        found = before.get(key, unset.get(key)) if isinstance(before, dict) else before
        if key != 'epochs' and found != wanted:
            raise AvdetError(
                f'{folder}: a teacher was started there with other settings: {key}: expected '
                f'{brief_repr(wanted)}, found {brief_repr(found)}; choose another folder'
            )
