"""How well scores rank sounding boxes above inaudible ones, as in active speaker detection.

Average precision is given for both kinds. Most visible vehicles sound anyway, so the AP of the
inaudible ones is the more meaningful number. Intervals come from resampling whole drives.

Retrieval of pictures by sound is scored by normalised discounted cumulative gain, as Arandjelović
and Zisserman score embeddings ("Objects that sound", ECCV 2018, section 3.1), with the number of
vehicles on each side in place of their tags. The score of a random order is given for comparison:
where most pictures are alike it is far from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avdet_ros.evaluation.bearings.metrics import INTERVAL_PERCENT

BINS = 10

MOST = 30
"""Number of top places of a list of pictures that count."""


@dataclass(frozen=True)
class Ranking:
    """Scores of one row on one part of the boxes; NaN where one of the two kinds is missing.

    Attributes:
        boxes: number of boxes.
        sounding: number of sounding boxes.
        ap_sounding: average precision of the sounding boxes.
        ap_inaudible: average precision of the inaudible boxes, lowest score first.
        roc_auc: share of pairs, one box of each kind, in which the sounding box scores higher.
    """

    boxes: int
    sounding: int
    ap_sounding: float
    ap_inaudible: float
    roc_auc: float


def rank(scores: np.ndarray, sounds: np.ndarray) -> Ranking:
    """Score a row.

    Args:
        scores: (N,) how likely each box is to sound, in any unit.
        sounds: (N,) bool, the truth.
    """
    scores, sounds = np.asarray(scores, np.float64), np.asarray(sounds, bool)
    return Ranking(
        len(scores),
        int(sounds.sum()),
        average_precision(scores, sounds),
        average_precision(-scores, ~sounds),
        roc_auc(scores, sounds),
    )


def average_precision(scores: np.ndarray, wanted: np.ndarray) -> float:
    """Average the precision at the score of each wanted box; equal scores are not separated.

    NaN without a wanted box; 1 if there is no other.
    """
    if not wanted.any():
        return float('nan')
    order = np.argsort(-scores, kind='stable')
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(wanted[order])[ends]
    new = np.diff(np.append(0, hits))
    return float((new * hits / (ends + 1)).sum() / hits[-1])


def roc_auc(scores: np.ndarray, wanted: np.ndarray) -> float:
    """Compute the area under the ROC curve, a tie counts half; NaN if one kind is missing."""
    positives, negatives = int(wanted.sum()), int((~wanted).sum())
    if not positives or not negatives:
        return float('nan')
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2
    above = middle[place][wanted].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def best_threshold(scores: np.ndarray, wanted: np.ndarray) -> float:
    """Find the threshold with the most right answers, on validation drives for test."""
    order = np.argsort(-scores, kind='stable')
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    right = 2 * np.cumsum(wanted[order])[ends] - (ends + 1)  # and a constant
    best = ends[int(np.argmax(right))]
    if right.max() < 0:  # calling all boxes inaudible is better still
        return float('inf')
    after = scores[order[best + 1]] if best + 1 < len(scores) else scores[order[best]]
    return float((scores[order[best]] + after) / 2)


def accuracy(scores: np.ndarray, wanted: np.ndarray, threshold: float) -> float:
    """Return the share of boxes on the right side of a threshold; NaN without boxes."""
    return float(np.mean((scores >= threshold) == wanted)) if len(scores) else float('nan')


def reliability(chance: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Compare predicted probabilities with the share of boxes that sound.

    Args:
        chance: (N,) predicted probabilities in [0, 1].
        wanted: (N,) bool, whether each box sounds.

    Returns:
        (`BINS`, 3) float64: boxes in the bin, their mean probability and the share that sounds;
        NaN in bins without boxes.
    """
    place = np.clip((np.asarray(chance) * BINS).astype(int), 0, BINS - 1)
    count = np.bincount(place, minlength=BINS).astype(np.float64)
    with np.errstate(invalid='ignore'):
        mean = np.bincount(place, chance, BINS) / count
        found = np.bincount(place, np.asarray(wanted, np.float64), BINS) / count
    return np.stack([count, mean, found], axis=1)


def interval(
    measure: Callable[[np.ndarray], float], drive: np.ndarray, resamples: int = 200, seed: int = 0
) -> tuple[float, float]:
    """Compute the 95 % interval of a measure over drives (cluster bootstrap).

    Args:
        measure: function of box indices, which may repeat.
        drive: (N,) number of each box's drive; fewer than two drives give NaN.
        resamples: number of draws.
        seed: seed of the draws.
    """
    members = [np.flatnonzero(drive == number) for number in np.unique(drive)]
    if len(members) < 2:
        return float('nan'), float('nan')
    rng = np.random.default_rng(seed)
    values = [
        measure(np.concatenate([members[place] for place in drawn]))
        for drawn in rng.integers(0, len(members), (resamples, len(members)))
    ]
    values = [value for value in values if np.isfinite(value)]
    if not values:
        return float('nan'), float('nan')
    low, high = np.percentile(values, INTERVAL_PERCENT)
    return float(low), float(high)


def relevance_of(counts: np.ndarray) -> np.ndarray:
    """Return the (N, N) similarity in [0, 1] of frames by their vehicles on each side.

    Args:
        counts: (N, S) vehicles of each frame on each of S sides.
    """
    counts = np.asarray(counts, np.float64)
    distance = np.abs(counts[:, None] - counts[None]).sum(axis=-1)
    return 1.0 / (1.0 + distance)


def ndcg(similarity: np.ndarray, relevance: np.ndarray, most: int = MOST) -> float:
    """Compute the mean NDCG: the gain of the top places relative to that of the ideal order.

    Args:
        similarity: (Q, D) of queries and documents.
        relevance: (Q, D), from 0.
        most: number of top places that count.
    """
    places = min(most, relevance.shape[1])
    discount = 1 / np.log2(np.arange(places) + 2)
    order = np.argsort(-similarity, axis=1, kind='stable')[:, :places]
    found = (np.take_along_axis(relevance, order, axis=1) * discount).sum(axis=1)
    ideal = (-np.sort(-relevance, axis=1)[:, :places] * discount).sum(axis=1)
    useful = ideal > 0
    return float((found[useful] / ideal[useful]).mean()) if useful.any() else float('nan')


def chance_ndcg(relevance: np.ndarray, most: int = MOST, draws: int = 20, seed: int = 0) -> float:
    """Average `ndcg` over some random orders."""
    rng = np.random.default_rng(seed)
    drawn = [ndcg(rng.random(relevance.shape), relevance, most) for _ in range(draws)]
    return float(np.mean(drawn))
