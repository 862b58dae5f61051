"""Detections of a `BearingFirst` in windows, and their scores: bearings, boxes, ranges."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np
import torch

from avdet_ros.evaluation.bearings.metrics import (
    FoundBearings,
    MatchedBearings,
    TrueBearings,
    average_precision,
    match_bearings,
    operating_point,
    recall_at,
)
from avdet_ros.evaluation.bearings.scores import ranges_at
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.boxes import decoded_angles, plane_boxes, range_quantiles
from avdet_ros.training.any_array.detector import averaged_azimuths, distinct_boxes
from avdet_ros.training.any_array.losses import BearingLabels
from avdet_ros.training.any_array.windows.augmentation import NO_AUGMENTATION, Augmentation
from avdet_ros.training.any_array.windows.store import ArrayStore
from avdet_ros.training.boxes.score_calibration import matches

WITHIN_DEG = 3.0
"""A bearing this close to a vehicle's is right."""

LEAST_LOGIT = -6.0
"""Less likely columns are ignored: only one in four hundred of them is right."""


@dataclass(frozen=True)
class FoundInWindow:
    """Detections in one window, most likely first.

    Attributes:
        angles_deg: (N, 4) azimuth, elevation, width and height.
        logits: (N,).
        range_m: (N, 3).
        boxes: (N, 4) as in the output of a model of contract 2.
    """

    angles_deg: np.ndarray
    logits: np.ndarray
    range_m: np.ndarray
    boxes: np.ndarray


@torch.no_grad()
def found_in(
    network: BearingFirst,
    store: ArrayStore,
    batch: int = 128,
    augmentation: Augmentation = NO_AUGMENTATION,
) -> list[FoundInWindow]:
    """Detect vehicles in every window of a set, in the directions that its labels cover."""
    network.eval()
    found: list[FoundInWindow] = []
    every = torch.arange(len(store), device=store.device)
    for index in every.split(batch):
        windows = store.batch(index, augmentation)
        with torch.autocast(
            store.device.type, torch.bfloat16, enabled=store.device.type == 'cuda'
        ):
            predicted = network(windows.level_db, windows.coherence, windows.steering)
        columns = predicted.float().transpose(1, 2)
        angles = decoded_angles(columns, network.shape)
        considered = columns[..., 0] > LEAST_LOGIT
        considered &= judged(angles[..., 0], windows.labels)
        averaged = averaged_azimuths(angles, columns[..., 0])
        parts = (averaged, columns[..., 0], range_quantiles(columns), plane_boxes(averaged))
        on_cpu = [part.cpu() for part in (*parts, angles, considered)]
        for *window, single, in_labels in zip(*on_cpu, strict=True):
            kept = distinct_boxes(single, window[1])
            kept = kept[in_labels[kept]]
            found.append(FoundInWindow(*(part[kept].numpy() for part in window)))
    return found


def judged(azimuth_deg: torch.Tensor, labels: BearingLabels) -> torch.Tensor:
    """(B, N) bool for (B, N) bearings: whether the labels can tell right from wrong there.

    They can in the sector in which they are complete, except where one of them is unsure.
    """
    known = torch.ones_like(azimuth_deg, dtype=torch.bool)
    if labels.seen_deg is not None:
        left, right = labels.seen_deg[:, :1], labels.seen_deg[:, 1:]
        known = (azimuth_deg <= left) & (azimuth_deg >= right)
    if labels.unsure is not None:
        middle, width = labels.angles_deg[..., 0], labels.angles_deg[..., 2]
        covered = (azimuth_deg[:, :, None] - middle[:, None]).abs() <= width[:, None] / 2
        doubtful = (labels.valid & labels.unsure)[:, None]
        known = known & ~(covered & doubtful).any(dim=-1)
    return known


def matched_bearings(found: list[FoundInWindow], store: ArrayStore) -> MatchedBearings:
    """Match detections with a set's sure labels within `WITHIN_DEG`; each seed is a drive.

    Args:
        found: see `found_in`, with the store's windows in order.
        store: the set.
    """
    sure, angles = sure_labels(store), store.column('angles_deg')
    level_db, range_m = store.column('level_db_of'), store.column('range_m')
    visible, seed = store.column('visible_fraction'), store.column('seed')
    drives: dict[int, list[tuple[FoundBearings, TrueBearings]]] = {}
    for row, window in enumerate(found):
        slots = sure[row]
        true = TrueBearings(
            angles[row, slots, 0].astype(np.float64),
            range_m[row, slots].astype(np.float64),
            level_db[row, slots].astype(np.float64),
            visible[row, slots].astype(np.float64),
        )
        bearings = FoundBearings(
            window.angles_deg[:, 0].astype(np.float64),
            window.logits.astype(np.float64),
            window.range_m.astype(np.float64),
        )
        drives.setdefault(int(seed[row]), []).append((bearings, true))
    return match_bearings(list(drives.values()), WITHIN_DEG)


def scores_of(found: list[FoundInWindow], store: ArrayStore) -> dict[str, float]:
    """Compute the numbers of a log: how well a set's vehicles are found.

    Args:
        found: see `found_in`, with the store's windows in order.
        store: the set.

    Returns:
        ``bearing_ap`` and ``bearing_recall`` (within `WITHIN_DEG`, the latter at 0.1 false
        bearings a window), ``azimuth_error_deg`` (median of the matches there),
        ``ap50`` of the boxes in angles at IoU 0.5, ``range_error`` (median of |d - d'| / d),
        ``range_covered`` (share of true ranges between the 5 and 95 % quantiles; all three of
        matched vehicles), ``vehicles`` and ``windows``.
    """
    matched = matched_bearings(found, store)
    point = operating_point(matched)
    counted = np.arange(len(matched.scores)) < point.bearings
    hit = matched.hit & counted
    true_m, predicted_m = ranges_at(matched, point)
    inside = (predicted_m[:, 0] <= true_m) & (true_m <= predicted_m[:, 2])
    sure = sure_labels(store)
    return {
        'bearing_ap': average_precision(matched),
        'bearing_recall': recall_at(matched, point),
        'azimuth_error_deg': _median(np.abs(matched.error_deg[hit])),
        'ap50': box_precision(found, store),
        'range_error': _median(np.abs(predicted_m[:, 1] - true_m) / np.maximum(true_m, 0.1)),
        'range_covered': float(inside.mean()) if len(inside) else math.nan,
        'vehicles': float(sure.sum()),
        'windows': float(len(sure)),
    }


def sure_labels(store: ArrayStore) -> np.ndarray:
    """(N, M) bool: which label slots of each window hold a sure label."""
    unsure = store.column('unsure')
    return (np.arange(unsure.shape[1]) < store.column('count')[:, None]) & ~unsure


def true_boxes(store: ArrayStore) -> list[np.ndarray]:
    """(M, 4) boxes of each window's sure labels, as in the output of a model of contract 2."""
    boxes = plane_boxes(torch.from_numpy(store.column('angles_deg'))).numpy()
    return [row[sure] for row, sure in zip(boxes, sure_labels(store), strict=True)]


def box_precision(found: list[FoundInWindow], store: ArrayStore) -> float:
    """Area under precision over recall of all windows' boxes at IoU 0.5; NaN without vehicles."""
    right = np.concatenate(matches([window.boxes for window in found], true_boxes(store)))
    order = np.argsort(-np.concatenate([window.logits for window in found]), kind='stable')
    vehicles = int(sure_labels(store).sum())
    if not vehicles:
        return math.nan
    hits = np.cumsum(right[order])
    precision = hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best * right[order]).sum() / vehicles)


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if len(values) else math.nan
