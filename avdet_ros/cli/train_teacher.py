"""`avdet train teacher`: train a camera detector on frames with boxes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

_logger = logging.getLogger(__name__)


def train_teacher(
    data: Annotated[
        Path,
        typer.Argument(
            help='Drives in the MAVD layout with true boxes, or the pictures of --coco.'
        ),
    ],
    modality: Annotated[str, typer.Option(help='Input of the teacher: rgb, depth or thermal.')],
    out: Annotated[
        Path, typer.Option(help='Folder for the teacher; an interrupted run is continued.')
    ],
    model: Annotated[
        str,
        typer.Option(help='efficientdet; or centre_points, small enough to train on a CPU.'),
    ] = 'efficientdet',
    coco: Annotated[
        Path | None,
        typer.Option(help='Annotations in COCO format (COCO, FLIR ADAS, ...).'),
    ] = None,
    coco_val: Annotated[
        Path | None,
        typer.Option(
            help='Annotations used to choose the epoch; default: every fifth picture of --coco.'
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help='Checkpoint to start from; only the stem and the class layer may be new.'
        ),
    ] = None,
    config: Annotated[str, typer.Option(help='effdet configuration.')] = 'tf_efficientdet_d2',
    height: Annotated[
        int, typer.Option(help='Height of its input, pixels, a multiple of 128.')
    ] = 768,
    width: Annotated[int, typer.Option(help='Width of its input, likewise.')] = 768,
    anchor_scale: Annotated[
        float, typer.Option(help='Smallest anchor in strides; 4 suits large inputs.')
    ] = 4.0,
    crop: Annotated[
        bool, typer.Option(help="Use the paper's columns 200 to 1720 of 1920 only.")
    ] = True,
    scaling: Annotated[
        str,
        typer.Option(
            help='Scaling of pictures: own, wide (keeps thermal contrast on cold days too) or '
            "released (as in the authors' program)."
        ),
    ] = 'own',
    share: Annotated[
        float,
        typer.Option(
            help='Share of the training drives to learn from; the student learns from the others.'
        ),
    ] = 0.5,
    epochs: Annotated[int, typer.Option(help='Passes over the frames.')] = 30,
    batch: Annotated[int, typer.Option(help='Batch size: frames per step.')] = 8,
    learning_rate: Annotated[float, typer.Option(help='Learning rate of AdamW.')] = 1e-3,
    bfloat16: Annotated[
        bool,
        typer.Option(
            help='Compute in bfloat16 if there is no GPU: half the time on CPUs with avx512_bf16.'
        ),
    ] = False,
    daytime: Annotated[str, typer.Option(help='Drives to learn from: day, night or all.')] = 'all',
    seed: Annotated[int, typer.Option(help='Random seed of weights, order and flips.')] = 0,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Train one teacher: a detector of vehicles in RGB, depth or thermal pictures.

    It learns from the true boxes of simulated drives, or from annotations in COCO format. The
    drives it learned from are listed next to it; `avdet train student` leaves them out for the
    student.

    Examples:
        avdet train teacher out/drives --modality thermal --out runs/teachers/thermal
        avdet train teacher FLIR/images --coco FLIR/coco.json --modality thermal --no-crop
            --out runs/teachers/thermal --weights tf_efficientdet_d2.pth
    """
    from avdet_ros.cli.console import progress_bars
    from avdet_ros.cli.training import need_training
    from avdet_ros.errors import AvdetError

    need_training()
    from avdet_ros.dataset.splits import read_split
    from avdet_ros.dataset.subsets import Subset, subset_frames
    from avdet_ros.fields import fill
    from avdet_ros.training.data.camera_frames import SCALINGS, require_modality
    from avdet_ros.training.data.labelled_frames import read_coco, true_frames
    from avdet_ros.training.registries import TEACHERS
    from avdet_ros.training.teachers.base import TEACHER_FILE, TeacherRecipe
    from avdet_ros.training.teachers.efficientdet import EfficientDetTeacher, fit_teacher

    for name, number, low, high in (
        ('share', share, 0.05, 0.95),
        ('epochs', epochs, 1, 10_000),
        ('batch', batch, 1, 4096),
        ('learning-rate', learning_rate, 1e-7, 1.0),
        ('anchor-scale', anchor_scale, 0.5, 16.0),
        ('seed', seed, 0, 2**32 - 1),
    ):
        if not low <= number <= high:
            raise AvdetError(f'--{name}: expected {low:g} to {high:g}, found {number:g}')
    require_modality(modality, '--modality')
    kind = TEACHERS.find(model)
    if not issubclass(kind, EfficientDetTeacher):
        raise AvdetError(f'--model: expected efficientdet or centre_points, found {model}')
    if coco is None:
        split = read_split(data, share, need_sound=False)
        drives = split.teach + split.watch
        subset = fill(Subset, {'daytime': daytime}, 'avdet train teacher')
        learn, watch = (
            true_frames(data, subset_frames(data, 'train', subset, part), modality)
            for part in (split.teach, split.watch)
        )
    else:
        if daytime != 'all':
            raise AvdetError(f'--daytime: expected drives with it, found --coco {coco}')
        drives = ()
        learn = read_coco(coco, data)
        watch = read_coco(coco_val, data) if coco_val else learn[::5]
        if coco_val is None:
            learn = [frame for index, frame in enumerate(learn) if index % 5]
    if scaling not in SCALINGS:
        raise AvdetError(f'--scaling: expected one of {", ".join(SCALINGS)}, found {scaling:.40}')
    recipe = TeacherRecipe(
        modality,
        config_name=config,
        image_size=(height, width),
        anchor_scale=anchor_scale,
        crop=crop,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        seed=seed,
        scaling=scaling,
        bfloat16=bfloat16,
    )
    _logger.info(
        '%s: a %s teacher learns from %d frames, %d watch', out, modality, len(learn), len(watch)
    )
    fit_teacher(recipe, learn, watch, out, weights, drives, progress_bars(progress), kind)
    _logger.info('made %s', out / TEACHER_FILE)
