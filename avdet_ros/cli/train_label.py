"""`avdet train label`: let teachers label the frames of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def label(
    data: Annotated[Path, typer.Argument(help='Drives in the MAVD layout.')],
    teachers: Annotated[
        Path | None,
        typer.Option(
            help='Folder with rgb, depth, thermal from avdet train teacher; not needed to '
            '--filter existing labels.'
        ),
    ] = None,
    pretrained: Annotated[
        str,
        typer.Option(
            help='Use a teacher that was trained on real pictures instead: tf_efficientdet_d0 to '
            "_d7. Its weights (COCO's car, motorcycle, bus, truck) are downloaded once."
        ),
    ] = '',
    weights: Annotated[
        Path | None,
        typer.Option(
            help='With --pretrained: file of the weights, for machines without a network.'
        ),
    ] = None,
    size: Annotated[
        str,
        typer.Option(
            help='With --pretrained: input size, HEIGHTxWIDTH, multiples of 128; pictures are '
            'scaled to fit.'
        ),
    ] = '640x1536',
    model: Annotated[
        str, typer.Option(help='Kind of the teachers: efficientdet or another registered teacher.')
    ] = 'efficientdet',
    modalities: Annotated[
        str | None,
        typer.Option(
            help='Modalities of the teachers, separated by commas; default: rgb,depth,thermal, or '
            'rgb with --pretrained.'
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help='Splits to label, separated by commas.')
    ] = 'train,val,test',
    daytime: Annotated[str, typer.Option(help='Frames to label: day, night or all.')] = 'all',
    motion: Annotated[str, typer.Option(help='Frames to label: static, drive or all.')] = 'all',
    out: Annotated[
        Path | None, typer.Option(help='Folder for the labels; default: DATA/labels.')
    ] = None,
    crop: Annotated[
        bool | None,
        typer.Option(help="Show the paper's columns only; default: as the teachers were trained."),
    ] = None,
    score: Annotated[
        float, typer.Option(help='Minimum score of a box that becomes a label.', min=0.3, max=0.99)
    ] = 0.3,
    label_filter: Annotated[
        str,
        typer.Option(
            '--filter',
            help='Select the labels that an audio student should learn: moving, sounding or, from '
            'the truth, oracle; in recipes, label_filter.',
        ),
    ] = 'none',
    selector: Annotated[
        Path | None,
        typer.Option(help='Selector from avdet train selector, for --filter sounding.'),
    ] = None,
    rig: Annotated[
        Path | None, typer.Option(help="Rig file, for --filter; default: the drives' own.")
    ] = None,
    progress: Annotated[bool, typer.Option(help='Draw progress bars.')] = True,
) -> None:
    """Let teachers label every frame once; store boxes, attention maps and features.

    Writes one .npz file per drive, described in avdet_ros/dataset/labels.py; drives that these
    teachers have already labelled are skipped. `avdet train student
    config/recipes/own_vehicle.yaml` learns from DATA/labels.

    Examples:
        avdet train label out/drives --teachers runs/teachers
        avdet train label out/drives --filter sounding --selector runs/selector
        avdet train label out/own --pretrained tf_efficientdet_d2
    """
    from rich.table import Table

    from avdet_ros.cli.console import console, print_line, progress_bars
    from avdet_ros.cli.training import need_training
    from avdet_ros.errors import AvdetError

    need_training()
    from avdet_ros.dataset import layout
    from avdet_ros.dataset.labels import read_labels
    from avdet_ros.dataset.splits import by_drive, read_split
    from avdet_ros.dataset.subsets import Subset, subset_frames
    from avdet_ros.fields import fill
    from avdet_ros.training.data.camera_frames import MODALITIES
    from avdet_ros.training.teachers.labelling import label_drives, open_teachers
    from avdet_ros.training.teachers.pretrained import make_teacher

    if teachers is not None and pretrained:
        raise AvdetError('expected one of --teachers and --pretrained, found both')
    if teachers is None and not pretrained and label_filter == 'none':
        raise AvdetError('expected one of --teachers and --pretrained, found neither')
    if weights is not None and not pretrained:
        raise AvdetError('--weights: expected --pretrained with it, found none')
    wanted = modalities or ('rgb' if pretrained else ','.join(MODALITIES))
    if pretrained and wanted != 'rgb':
        raise AvdetError(f'--modalities: expected rgb with --pretrained, found {wanted:.40}')
    names, splits = ([part.strip() for part in text.split(',')] for text in (wanted, split))
    for option, values, known in (
        ('modalities', names, tuple(MODALITIES)),
        ('split', splits, layout.SPLITS),
    ):
        for name in values:
            if name not in known:
                raise AvdetError(f'--{option}: expected some of {", ".join(known)}, found {name}')
    subset = fill(Subset, {'daytime': daytime, 'motion': motion}, 'avdet train label')
    frames = read_split(data, 0.0, need_sound=False)
    drives = by_drive(
        frame
        for name in splits
        for frame in subset_frames(data, name, subset, getattr(frames, name))
    )
    folder = out or data / 'labels'
    bars = progress_bars(progress)
    if pretrained:
        teachers = data / 'teachers' / pretrained
        make_teacher(pretrained, teachers, _image_size(size), weights, bars)
    if teachers is not None:
        ready = open_teachers(teachers, names, score, model)
        label_drives(data, drives, ready, folder, crop, bars)
    if label_filter != 'none':
        from avdet_ros.training.sounding.run import filter_labels

        counts = filter_labels(data, drives, label_filter, folder, selector, None, rig, bars)
        found = ', '.join(f'{count} {word}' for word, count in counts.items())
        print_line(f'{folder / f"filter_{label_filter}"}: {found}')
        return
    table = Table(title=str(folder), title_justify='left')
    for heading in ('drive', 'frames', *names, 'fused'):
        table.add_column(heading, no_wrap=heading == 'drive', justify='left')
    for name in sorted(drives):
        labels = read_labels(folder / f'{name}.npz', mapped=True)
        boxes = [
            sum(len(labels.fused(index, combination)) for index in range(len(labels)))
            for combination in (*([teacher] for teacher in names), names)
        ]
        table.add_row(name, str(len(labels)), *map(str, boxes))
    console().print(table)


def _image_size(text: str) -> tuple[int, int]:
    """Return height and width of a size such as ``640x1536``."""
    from avdet_ros.errors import AvdetError

    sides = [int(part) for part in text.split('x') if part.isdecimal() and len(part) < 6]
    if len(sides) != 2 or not all(128 <= side <= 4096 and side % 128 == 0 for side in sides):
        raise AvdetError(
            f'--size: expected HEIGHTxWIDTH, multiples of 128 from 128 to 4096, found {text:.40}'
        )
    return sides[0], sides[1]
