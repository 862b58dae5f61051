"""Rows of attention over pictures: both variants, with no, some or all frames labelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avdet_ros.evaluation.sounding.boxes import SeenBoxes
from avdet_ros.evaluation.sounding.maps import (
    best_heat,
    consensus_iou,
    lit_share,
    success,
)
from avdet_ros.evaluation.sounding.ranking import rank
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.training.fitting.run_folder import cached_stage
from avdet_ros.training.sounding.attention import column_places
from avdet_ros.training.sounding.attention_fitting import AttentionPlan, attend, fit_attention
from avdet_ros.training.sounding.attention_run import cells_of, read_pictures, sounding_cells
from avdet_ros.training.sounding.learning import all_maps, other_moments
from avdet_ros.training.sounding.sound_sums import DirectionMaps
from avdet_ros.training.studies.sounding.selector_rows import RIGHT, Frames

_logger = logging.getLogger(__name__)

ALL = 1_000_000
ONE, COLUMN = 'one vector', 'a vector a column'
WITHOUT_THERMAL = {
    'literal': (ONE, AttentionPlan('literal')),
    'map': (COLUMN, AttentionPlan('map')),
    'literal_best': (f'{ONE}, by the best cell', AttentionPlan('literal', best_cell=True)),
    'map_best': (f'{COLUMN}, by the best cell', AttentionPlan('map', best_cell=True)),
    **{
        f'{way}_{many}': (f'{words}, {many:,} frames labelled', AttentionPlan(way, labelled=many))
        for many in (20, 100, 500, 2000)
        for way, words in (('literal', ONE), ('map', COLUMN))
    },
    **{
        f'map_only_{many}': (
            f'{COLUMN}, {many:,} frames labelled, no others',
            AttentionPlan('map', unsupervised=False, labelled=many),
        )
        for many in (100, 500)
    },
    'literal_told': (f'{ONE}, all labelled', AttentionPlan('literal', False, ALL)),
    'map_told': (f'{COLUMN}, all labelled', AttentionPlan('map', False, ALL)),
    'map_best_told': (
        f'{COLUMN}, each cell independently, all labelled',
        AttentionPlan('map', False, ALL, best_cell=True),
    ),
}

ATTENTIONS = WITHOUT_THERMAL | {
    f'{key}_thermal': (f'{words}, thermal', replace(plan, thermal=True))
    for key, (words, plan) in WITHOUT_THERMAL.items()
    if key in ('literal', 'map', 'literal_100', 'map_100', 'literal_told', 'map_told')
}
"""Title and plan of each row. Rows with more labelled frames than there are are left out, and so
are rows that use thermal pictures if there are none."""

WRONG = 'another moment'


@dataclass(frozen=True)
class Scenes:
    """Frames of a use in the input format of attention.

    Attributes:
        pictures: result of `read_pictures`.
        maps: (F, 2 GROUPS, A) by `RIGHT` and `WRONG`.
        masks: (F, ROWS, COLUMNS) float64, 1 in cells of visible vehicles that sound.
        boxes: the visible vehicles.
    """

    pictures: Tensor
    maps: Mapping[str, Tensor]
    masks: np.ndarray
    boxes: SeenBoxes


def load_scenes(
    root: Path, frames: Frames, rig: Rig, thermal: bool, progress: Progress = SILENT
) -> Scenes:
    """Load pictures, optionally thermal ones too, sounds and truth of a use's frames."""
    pictures = read_pictures(root, frames.boxes.frames, thermal, progress)
    maker = DirectionMaps(rig)
    maps = {name: all_maps(maker, frames.sums[name]) for name in (RIGHT, WRONG)}
    size = rig.camera.width_px, rig.camera.height_px
    return Scenes(pictures, maps, sounding_cells(frames.boxes, size), frames.boxes)


def attention_scores(
    scenes: Mapping[str, Scenes],
    frames: Frames,
    rig: Rig,
    out: Path,
    steps_and_seeds: tuple[int, int],
    report: Callable[[Mapping[str, Sequence[Mapping[str, Any]]]], None],
    progress: Progress = SILENT,
) -> dict[str, list[dict[str, Any]]]:
    """Fit and score every row, or read the results of an earlier run.

    Args:
        scenes: scenes of ``train``, ``val`` and ``test``.
        frames: training frames; their other moments serve as other sounds.
        rig: array and camera.
        out: folder that receives the scores, and the maps of test frames.
        steps_and_seeds: steps of each fitting, and seeds of each row.
        report: called with the results so far after each seed.
        progress: displays the steps.
    """
    others, places = other_moments(frames.padded), column_places(rig)
    train = scenes['train']
    steps, seeds = steps_and_seeds
    found: dict[str, list[dict[str, Any]]] = {
        key: [] for key in keys_for(train.masks, train.pictures.shape[1] > 3)
    }
    for seed in range(seeds):
        for key, scores in found.items():
            title, plan = ATTENTIONS[key]
            _logger.info('attention, seed %d: %s', seed, title)

            def score(
                key: str = key, plan: AttentionPlan = plan, seed: int = seed
            ) -> dict[str, Any]:
                out.mkdir(parents=True, exist_ok=True)
                network = fit_attention(
                    train.pictures,
                    train.maps[RIGHT],
                    others,
                    torch.from_numpy(train.masks).float(),
                    replace(plan, seed=seed, steps=steps),
                    places,
                    progress,
                )
                heats = {
                    (use, name): attend(network, scenes[use].pictures, scenes[use].maps[name])
                    for use, name in (('val', RIGHT), ('test', RIGHT), ('test', WRONG))
                }
                np.save(out / f'{key}_seed{seed}.npy', heats['test', RIGHT])
                size = rig.camera.width_px, rig.camera.height_px
                return scores_of(
                    heats['val', RIGHT],
                    heats['test', RIGHT],
                    heats['test', WRONG],
                    scenes['val'].masks,
                    scenes['test'],
                    size,
                )

            scores.append(cached_stage(out / f'{key}_seed{seed}.json', score, title))
        report(found)
    return found


def keys_for(masks: np.ndarray, thermal: bool) -> list[str]:
    """List the rows for which there are enough labelled frames.

    Args:
        masks: (F, ROWS, COLUMNS) of training frames, nonzero where something sounds.
        thermal: whether there are thermal pictures.
    """
    available = sounding_frames(masks)
    return [
        key
        for key, (_, plan) in ATTENTIONS.items()
        if not available < plan.labelled < ALL and thermal >= plan.thermal
    ]


def sounding_frames(masks: np.ndarray) -> int:
    """Count the frames of (F, ROWS, COLUMNS) masks in which something sounds."""
    return int(masks.any(axis=(1, 2)).sum())


def attention_not_run(masks: np.ndarray) -> str:
    """Return a sentence on the rows that lack labelled frames, or ''."""
    available = sounding_frames(masks)
    left = [words for words, plan in ATTENTIONS.values() if available < plan.labelled < ALL]
    if not left:
        return ''
    return (
        f'Not run: {"; ".join(left)}. Only {available:,} training frames have a visible vehicle '
        'that sounds.'
    )


def scores_of(
    val: np.ndarray,
    heat: np.ndarray,
    wrong: np.ndarray,
    val_masks: np.ndarray,
    test: Scenes,
    size_px: tuple[int, int],
) -> dict[str, float]:
    """Score test maps with right and wrong sound, at the best threshold of validation maps."""
    known = val_masks.any(axis=(1, 2))
    threshold = best_heat(list(val[known]), list(val_masks[known])) if known.any() else 0.0
    sounding = test.masks.any(axis=(1, 2))
    pairs = list(zip(heat[sounding], test.masks[sounding], strict=True))
    share, area = success([consensus_iou(one, mask, threshold) for one, mask in pairs])
    at_boxes = heat_of_boxes(heat, test.boxes, size_px)
    swapped = heat_of_boxes(wrong, test.boxes, size_px)
    ranked = rank(at_boxes, test.boxes.sounds)
    return {
        'ciou': share,
        'auc': area,
        'peak': _peaks(heat[sounding], test.masks[sounding]),
        'peak_wrong': _peaks(wrong[sounding], test.masks[sounding]),
        'roc_auc': ranked.roc_auc,
        'ap_inaudible': ranked.ap_inaudible,
        'ap_wrong': rank(swapped, test.boxes.sounds).ap_inaudible,
        'lit': _mean([lit_share(one, threshold) for one in heat[~sounding]]),
    }


def heat_of_boxes(heat: np.ndarray, boxes: SeenBoxes, size_px: tuple[int, int]) -> np.ndarray:
    """Return the highest attention of each box's cells, (N,)."""
    values = [
        heat[frame][cells_of(box, size_px)].max()
        for frame, box in zip(boxes.frame, boxes.boxes_px, strict=True)
    ]
    return np.array(values)


def attention_table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the table of all rows, in Markdown."""
    keys = ('ciou', 'auc', 'peak', 'peak_wrong', 'roc_auc', 'ap_inaudible', 'ap_wrong', 'lit')
    lines = [
        (
            '| attention | cIoU@.5 | AUC | peak in a box | with another moment | ROC area | '
            'AP inaudible | with another moment | lit when nothing seen sounds |'
        ),
        '|---|--:|--:|--:|--:|--:|--:|--:|--:|',
    ]
    for key, rows in found.items():
        cells = [ATTENTIONS[key][0], *(_several([row[name] for row in rows]) for name in keys)]
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def _peaks(heats: np.ndarray, masks: np.ndarray) -> float:
    return _mean([mask.flat[int(one.argmax())] for one, mask in zip(heats, masks, strict=True)])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float('nan')


def _several(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return '-'
    text = f'{np.mean(known):.2f}'
    return f'{text} ± {(max(known) - min(known)) / 2:.2f}' if len(known) > 1 else text
