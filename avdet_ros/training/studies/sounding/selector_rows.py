"""The rows of selectors, which predict which visible vehicle sounds: fitting and scores.

Every row is scored with the right sound and with wrong ones (`evaluation.sounding.controls`). A
row that scores the same with any sound does not use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from avdet_ros.dataset import layout
from avdet_ros.dataset.features import map_features
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding import controls
from avdet_ros.evaluation.sounding.boxes import SeenBoxes
from avdet_ros.evaluation.sounding.directions import Received, box_sides_deg, received
from avdet_ros.evaluation.sounding.hand_made import Row, scored
from avdet_ros.evaluation.sounding.tables import RowScores
from avdet_ros.files import write_atomically
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.training.sounding.box_set import BoxSet, box_set
from avdet_ros.training.sounding.learning import (
    SelectorPlan,
    fit_selector,
    labelled_frames,
    predict,
)
from avdet_ros.training.sounding.run import mirror_of
from avdet_ros.training.sounding.sound_sums import DirectionMaps, mirrored_sums

RIGHT = 'own sound'
CONTROLS = ('another moment', 'another drive', 'mirrored', 'no coherence')

A, V, M, T = 'sound', 'sight', 'motion', 'thermal'


@dataclass(frozen=True)
class SelectorRow:
    """A selector of the study.

    Attributes:
        key: key in the names of its files.
        title: title in tables.
        plan: settings of its fitting.
        every_label: use the truth of all training frames.
    """

    key: str
    title: str
    plan: SelectorPlan
    every_label: bool = False

    @property
    def hears(self) -> bool:
        """Whether it uses the sound."""
        return A in self.plan.kinds


def _plan(*kinds: str, **other: Any) -> SelectorPlan:
    return replace(SelectorPlan(kinds=kinds), **other)


SELECTORS = (
    SelectorRow('a', 'sound', _plan(A)),
    SelectorRow('av', 'sound, sight', _plan(A, V)),
    SelectorRow('avm', 'sound, sight, motion', _plan(A, V, M)),
    SelectorRow('avmt', 'sound, sight, motion, thermal', _plan(A, V, M, T)),
    SelectorRow('vm', 'sight, motion: no sound', _plan(V, M)),
    SelectorRow('vmt', 'sight, motion, thermal: no sound', _plan(V, M, T)),
    SelectorRow('a_alone', 'sound, never two moments at once', _plan(A, mixing=False)),
    *(
        SelectorRow(
            f'avm_{many}',
            f'sound, sight, motion, {many:,} frames labelled',
            _plan(A, V, M, labelled=many),
        )
        for many in (20, 100, 500, 2000)
    ),
    *(
        SelectorRow(
            f'only_{many}',
            f'{many:,} frames labelled, no others',
            _plan(A, V, M, labelled=many, unlabelled=False),
        )
        for many in (20, 100, 500, 2000)
    ),
    SelectorRow('told_vm', 'all labelled: sight, motion', _plan(V, M, unlabelled=False), True),
    SelectorRow('told_a', 'all labelled: sound', _plan(A, unlabelled=False), True),
    SelectorRow(
        'told_avm', 'all labelled: sound, sight, motion', _plan(A, V, M, unlabelled=False), True
    ),
    SelectorRow(
        'told_avmt',
        'all labelled: sound, sight, motion, thermal',
        _plan(A, V, M, T, unlabelled=False),
        True,
    ),
)
"""Selectors without labels, then with some frames labelled, then with all."""


def rows_for(train: BoxSet) -> list[SelectorRow]:
    """List the selectors for which there are enough labelled frames."""
    known = len(labelled_frames(train, len(train)))
    return [row for row in SELECTORS if row.plan.labelled <= known]


def selectors_not_run(train: BoxSet) -> str:
    """Return a sentence on the selectors that lack labelled frames, or ''."""
    known = len(labelled_frames(train, len(train)))
    left = [row.title for row in SELECTORS if row.plan.labelled > known]
    if not left:
        return ''
    return f'Not run: {"; ".join(left)}. Only {known:,} training frames have a visible vehicle.'


@dataclass(frozen=True)
class Frames:
    """Boxes of a use with their sound, for hand-made rows and for selectors.

    Attributes:
        boxes: the boxes as a list.
        padded: the same boxes by frame.
        sound: sound received from each direction, by `RIGHT` and `CONTROLS`.
        sums: sound sums by `RIGHT` and `CONTROLS`.
        sides_deg: (N, 2) azimuths of the boxes' sides.
    """

    boxes: SeenBoxes
    padded: BoxSet
    sound: dict[str, Received]
    sums: dict[str, Tensor]
    sides_deg: np.ndarray


def load_frames(
    root: Path, boxes: SeenBoxes, rig: Rig, thermal: bool = True, progress: Progress = SILENT
) -> Frames:
    """Load boxes with their own sound and wrong ones.

    Args:
        root: the data set's folder, with features.
        boxes: boxes of one use.
        rig: array and camera.
        thermal: use thermal pictures.
        progress: displays the frames.
    """
    sounds = np.where(boxes.state >= 0, boxes.sounds, np.nan).astype(float)
    padded = box_set(
        root, boxes.frames, boxes.frame, boxes.boxes_px, rig, sounds, thermal, progress
    )
    features = _features(root, boxes.frames)
    moment, drive = controls.other_moment(boxes.frames), controls.other_drive(boxes.frames)
    sound = {RIGHT: received(features, rig)}
    for name, swapped in (('another moment', moment), ('another drive', drive)):
        sound[name] = Received(*(part[swapped] for part in vars(sound[RIGHT]).values()))
    sums = {RIGHT: padded.sums, 'another moment': padded.sums[moment]}
    sums['another drive'] = padded.sums[drive]
    mirror = mirror_of(rig)
    if mirror is not None:
        turned = [
            controls.mirrored(np.array(it), mirror.channels, mirror.signs) for it in features
        ]
        sound['mirrored'] = received(turned, rig)
        sums['mirrored'] = mirrored_sums(padded.sums, mirror)
    sound['no coherence'] = received([controls.without_coherences(it) for it in features], rig)
    sums['no coherence'] = padded.sums.clone()
    sums['no coherence'][:, MICROPHONES:] = 0
    return Frames(boxes, padded, sound, sums, box_sides_deg(boxes.boxes_px, rig))


def hand_made_scores(row: Row, frames: Frames) -> dict[str, np.ndarray]:
    """Compute (N,) scores with `RIGHT` and, if the row uses sound, with each of `CONTROLS`."""
    names = frames.sound if row.hears else (RIGHT,)
    return {
        name: scored(row, frames.boxes, frames.sound[name], frames.sides_deg) for name in names
    }


def selector_scores(
    row: SelectorRow,
    train: BoxSet,
    uses: dict[str, Frames],
    rig: Rig,
    seed: int,
    path: Path,
    steps: int,
    progress: Progress = SILENT,
) -> dict[str, dict[str, np.ndarray]]:
    """Fit a selector and score the boxes of other drives, or read an earlier run's scores.

    Args:
        row: the selector.
        train: training frames.
        uses: frames of ``val`` and ``test``.
        rig: array and camera.
        seed: seed of weights and order.
        path: file of the scores.
        steps: steps of each round.
        progress: displays the steps.

    Returns:
        (N,) logits by use and sound.

    Raises:
        AvdetError: the file is damaged, or of other boxes.
    """
    if path.exists():
        return _read_scores(path, uses)
    labelled = len(train) if row.every_label else row.plan.labelled
    plan = replace(row.plan, seed=seed, labelled=labelled, steps=steps)
    maps = DirectionMaps(rig)
    network = fit_selector(train, plan, maps, mirror_of(rig), progress)
    found = {
        use: {
            name: frames.padded.flat(
                predict(network, frames.padded, maps, sums), len(frames.boxes)
            )
            for name, sums in (frames.sums if row.hears else {RIGHT: frames.padded.sums}).items()
        }
        for use, frames in uses.items()
    }
    with write_atomically(path) as file:
        arrays: dict[str, Any] = {
            f'{use}/{name}': it for use, scores in found.items() for name, it in scores.items()
        }
        np.savez(file, **arrays)
    return found


def selector_row(
    row: SelectorRow,
    train: BoxSet,
    uses: dict[str, Frames],
    rig: Rig,
    out: Path,
    steps_and_seeds: tuple[int, int],
    progress: Progress = SILENT,
) -> RowScores:
    """Fit a row with every seed and score it on validation and test boxes.

    Args:
        row: the selector.
        train: training frames.
        uses: boxes to score, of ``val`` and ``test``.
        rig: array and camera.
        out: folder of the scores.
        steps_and_seeds: steps of each round, and seeds.
        progress: displays the steps.
    """
    steps, seeds = steps_and_seeds
    found = [
        selector_scores(
            row, train, uses, rig, seed, out / f'{row.key}_seed{seed}.npz', steps, progress
        )
        for seed in range(seeds)
    ]
    test = {name: [scores['test'][name] for scores in found] for name in found[0]['test']}
    return RowScores(
        row.title, row.hears, '', [scores['val'][RIGHT] for scores in found], test, RIGHT
    )


def _read_scores(path: Path, uses: dict[str, Frames]) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {use: {} for use in uses}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                use, _, sound = name.partition('/')
                found[use][sound] = file[name]
                if len(file[name]) != len(uses[use].boxes):
                    raise ValueError(f'{len(file[name])} scores for {len(uses[use].boxes)} boxes')
    except Exception as error:  # numpy passes on all errors of zipfile
        raise AvdetError(
            f'{path}: expected scores of a selector, found {one_line(error)}; delete it to make '
            'them again'
        ) from error
    return found


def _features(root: Path, frames: Sequence[layout.FrameId]) -> list[np.ndarray]:
    files = {name: map_features(root, 'window', name) for name in {one.drive for one in frames}}
    return [files[one.drive][1][files[one.drive][0][one.stamp]] for one in frames]
