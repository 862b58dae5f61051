"""Label simulated windows of drawn arrays with teachers that see the drives' cameras.

A window of format 3 names its drive and its time, so the pictures of its middle can be rendered on
demand and are never stored. The teachers' boxes replace the simulator's labels. The shards
contain nothing that only the simulator knows, and the sound is not simulated again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from avdet_ros.dataset.labels import FrameLabels, fused_places
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_atomically, write_json
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.rig_match import rig_difference
from avdet_ros.simulation.array_windows import (
    FORMAT,
    WindowPlan,
    array_of,
    draw_world,
    place_array,
)
from avdet_ros.simulation.pictures import Cameras, Frame, random_conditions
from avdet_ros.simulation.shard_folder import MANIFEST
from avdet_ros.training.any_array.box_labels import label_fields
from avdet_ros.training.data.camera_frames import Canvas, canvas_for, network_input
from avdet_ros.training.teachers.base import Teacher
from avdet_ros.training.teachers.labelling import found_in_picture

KEPT = (
    'features',
    'rig_microphones_m',
    'rig_array_yaw_deg',
    'alive',
    'family',
    'world',
    'rendered',
    'seed',
    'time_s',
)
"""Fields that a shard of teachers' labels copies from the original shard."""

LIGHT = {'day': False, 'night': True, 'both': None}
"""Whether pictures are rendered at night (None: either); it does not change the sound."""


def watch_windows(
    folder: Path,
    teachers: Mapping[str, Teacher],
    out: Path,
    base: Rig,
    light: str = 'day',
    progress: Progress = SILENT,
) -> None:
    """Label every shard of a set that these teachers have not labelled yet.

    Args:
        folder: a set of format 3, made by ``avdet sim windows --arrays``.
        teachers: teachers by modality.
        out: receives a shard for each, with the fields of `KEPT` and of `box_labels.label_fields`.
        base: the rig that the set was made with.
        light: a key of `LIGHT`.
        progress: displays the windows done.

    Raises:
        AvdetError: no such set, a set of another rig, or labels of other teachers in the folder.
    """
    plan, window_s = read_plan(folder, base)
    if plan.dense:
        raise AvdetError(f'{folder}: expected windows of one drive each, found dense ones')
    about = {
        'labels': {name: teacher.fingerprint for name, teacher in teachers.items()},
        'score': next(iter(teachers.values())).score,
        'light': light,
        'windows': json.loads((folder / MANIFEST).read_text(encoding='utf-8')),
    }
    _begin(out, about)
    shards = sorted(folder.glob('windows_*.npz'))
    todo = [path for path in shards if not (out / path.name).exists()]
    with progress.step('labels', len(todo) * plan.windows_a_shard) as advance:
        for path in todo:
            arrays: dict[str, Any] = watched_shard(path, plan, window_s, teachers, base, light)
            with write_atomically(out / path.name) as file:
                np.savez(file, **arrays)
            advance(len(arrays['seed']))


def watched_shard(
    path: Path,
    plan: WindowPlan,
    window_s: float,
    teachers: Mapping[str, Teacher],
    base: Rig,
    light: str,
) -> dict[str, np.ndarray]:
    """Return the arrays of one labelled shard; see `watch_windows`."""
    try:
        with np.load(path, allow_pickle=False) as shard:
            arrays = {name: shard[name] for name in KEPT if name in shard}
            seeds, times_s = arrays['seed'], arrays['time_s']
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise AvdetError(
            f'{path}: expected a shard of windows of format 3, found {error!s:.120}'
        ) from error
    found: dict[tuple[int, float], dict[str, np.ndarray | np.generic]] = {}
    for seed in dict.fromkeys(seeds.tolist()):
        # All arrays of a drive share the same cameras.
        scene = place_array(draw_world(seed, base, plan), array_of(seed, base, plan))
        cameras = Cameras(scene, random_conditions(seed, scene.temperature_c, LIGHT[light]))
        for start_s in dict.fromkeys(times_s[seeds == seed].tolist()):
            frame = cameras.frame(start_s + window_s / 2)
            labels, columns_px = fused_labels(frame, teachers)
            found[seed, start_s] = label_fields(labels, scene.rig, columns_px)
    rows = [found[key] for key in zip(seeds.tolist(), times_s.tolist(), strict=True)]
    return {**arrays, **{name: np.stack([row[name] for row in rows]) for name in rows[0]}}


def fused_labels(
    frame: Frame, teachers: Mapping[str, Teacher]
) -> tuple[FrameLabels, tuple[float, float]]:
    """Return the fused boxes of all teachers in a frame, and the columns that they see.

    Returns:
        The boxes, fused as in `dataset.labels`, with the disparities of the depth camera;
        first and last column, pixels.
    """
    first = next(iter(teachers.values()))
    height, width = frame.rgb.shape[:2]
    canvas = canvas_for(first.image_size, width, height, first.crop)
    each = []
    for name, teacher in teachers.items():
        picture = network_input(getattr(frame, name), name, canvas)
        (output,) = teacher.predict(torch.from_numpy(picture[None]))
        each.append(found_in_picture(output, canvas, frame.depth))
    boxes, scores, disparity = (
        np.concatenate([getattr(item, field.name) for item in each]) for field in fields(each[0])
    )
    kept = fused_places(boxes, scores)
    unknown = np.full(len(kept), np.nan)
    identity = np.full(len(kept), -1)
    labels = FrameLabels(boxes[kept], identity, unknown, unknown, disparity[kept])
    return labels, seen_columns(canvas)


def seen_columns(canvas: Canvas) -> tuple[float, float]:
    """Return the first and last image column that a teacher sees."""
    return float(canvas.left_px), float(canvas.left_px + canvas.kept_width_px)


def read_plan(folder: Path, base: Rig) -> tuple[WindowPlan, float]:
    """Read the plan that a set was made with, and the length of its windows, s.

    Raises:
        AvdetError: the set has no valid manifest, or was made with another rig.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding='utf-8'))
        if manifest['format'] != FORMAT:
            raise ValueError(f'format {manifest["format"]}')
        names = [field.name for field in fields(WindowPlan)]
        plan = WindowPlan(**{name: manifest[name] for name in names if name in manifest})
        window_s = float(manifest['window_s'])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AvdetError(
            f'{path}: expected the manifest of a set of drawn arrays, found {error!s:.80}; avdet '
            'sim windows --arrays drawn makes one'
        ) from error
    if difference := rig_difference(base, manifest):
        raise AvdetError(f'{path}: {difference}')
    return plan, window_s


def _begin(out: Path, about: dict[str, Any]) -> None:
    path = out / MANIFEST
    out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        if any(out.glob('windows_*.npz')):
            raise AvdetError(f'{out}: expected {MANIFEST} next to the shards, found none')
        write_json(path, about)
    if json.loads(path.read_text(encoding='utf-8')) != json.loads(json.dumps(about)):
        raise AvdetError(
            f'{out}: expected labels of these teachers and windows, found those of others; choose '
            'another folder'
        )
