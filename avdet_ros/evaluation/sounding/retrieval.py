"""Whether sound finds its picture: normalised discounted cumulative gain.

As Arandjelović and Zisserman score embeddings ("Objects that sound", ECCV 2018, section 3.1), with
the number of vehicles on each side in place of their tags. What a random order gets stands beside
it: where most pictures are alike it is far from 0.
"""

from __future__ import annotations

import numpy as np

MOST = 30
"""Places of a list that count."""


def relevance_of(counts: np.ndarray) -> np.ndarray:
    """(N, N) float64 in [0, 1], how alike frames are by their vehicles on each side.

    Args:
        counts: (N, S) vehicles of each frame in each of S sides.
    """
    counts = np.asarray(counts, np.float64)
    apart = np.abs(counts[:, None] - counts[None]).sum(axis=-1)
    return 1.0 / (1.0 + apart)


def ndcg(similarity: np.ndarray, relevance: np.ndarray, most: int = MOST) -> float:
    """Mean over queries of the gain of the best places, against that of the best order.

    Args:
        similarity: (Q, D) of queries and documents.
        relevance: (Q, D), from 0.
        most: places that count.
    """
    many = min(most, relevance.shape[1])
    discount = 1 / np.log2(np.arange(many) + 2)
    order = np.argsort(-similarity, axis=1, kind='stable')[:, :many]
    found = (np.take_along_axis(relevance, order, axis=1) * discount).sum(axis=1)
    ideal = (-np.sort(-relevance, axis=1)[:, :many] * discount).sum(axis=1)
    useful = ideal > 0
    return float((found[useful] / ideal[useful]).mean()) if useful.any() else float('nan')


def chance_ndcg(relevance: np.ndarray, most: int = MOST, draws: int = 20, seed: int = 0) -> float:
    """`ndcg` of random orders, the mean of some."""
    rng = np.random.default_rng(seed)
    drawn = [ndcg(rng.random(relevance.shape), relevance, most) for _ in range(draws)]
    return float(np.mean(drawn))
