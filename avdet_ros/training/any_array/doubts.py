"""Leave labels open where teachers and a trained network disagree: seen or heard, but not both.

Teachers see pictures. They draw boxes around parked vehicles, and miss vehicles behind a corner,
in the dark or far away. A trained audio network knows better in the clear cases. Each bearing that
it finds takes one box near it, the widest: of several vehicles in one direction, the nearest is
the loudest and hides the others. A box that no bearing takes becomes an unsure label, and so does
a bearing without a box. In less clear cases the teachers' labels stay (learning with some labels
withheld: "co-teaching", B. Han et al., arXiv 1804.06872).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.boxes import columns_deg
from avdet_ros.training.any_array.losses import BearingLabels
from avdet_ros.training.any_array.windows.store import ArrayStore

NEAR_DEG = 4.0
"""A box and a bearing at most this far apart belong to the same vehicle."""

LEAST_PROBABILITY = 0.3
"""Minimum probability of a bearing that takes a box, or leaves its direction open. Of a good
teacher's labels on simulated windows, six in ten are on nothing audible; of the labels taken,
fewer than two in ten; of those that only less probable bearings would take, most
(`tools/doubted_labels.py`)."""

WHOLE_DEG = 360.0
"""Labels that are complete in a sector this wide are the simulator's own and are not doubted."""

WIDTH_DEG = 5.0
"""Width of the unlabelled sector around a heard but unseen vehicle, degrees."""


@dataclass(frozen=True)
class Doubts:
    """Counts of the labels left open in a set.

    Attributes:
        labels: sure labels before.
        silent: those of them that the network does not detect; now unsure.
        unseen: directions in which it detects an unlabelled vehicle; now unsure.
    """

    labels: int
    silent: int
    unseen: int

    def __str__(self) -> str:
        """Return a one-sentence summary."""
        return (
            f"{self.silent} of the teachers' {self.labels} labels match no vehicle that the "
            f'network detects, and {self.unseen} vehicles that it detects have no label: training '
            'leaves these directions out'
        )


@torch.no_grad()
def settle_doubts(
    network: BearingFirst, store: ArrayStore, batch: int = 128, progress: Progress = SILENT
) -> Doubts:
    """Make labels unsure where a trained network clearly disagrees.

    Args:
        network: trained before, on the true labels of other windows.
        store: a set with the labels of teachers, changed in place; windows in it that the
            simulator has labelled stay as they are.
        batch: windows at once.
        progress: shows windows.

    Returns:
        Counts over the windows that teachers have labelled.
    """
    centres = columns_deg(network.shape, store.device)
    labels = silent = unseen = 0
    left, right = store.part('seen_deg').unbind(dim=1)
    watched = torch.nonzero(left - right < WHOLE_DEG)[:, 0]
    batches = watched.split(batch) if len(watched) else ()
    with progress.step('checking labels', len(watched)) as advance:
        for index, window_labels, probabilities in vehicle_probabilities(network, store, batches):
            sure = (
                window_labels.valid
                if window_labels.unsure is None
                else window_labels.valid & ~window_labels.unsure
            )
            near = near_labels(window_labels, centres)
            quiet = sure & ~taken_labels(probabilities, window_labels, near)
            seen = (near & window_labels.valid[..., None]).any(dim=1)
            peaks = _peaks(probabilities) & (probabilities >= LEAST_PROBABILITY) & ~seen
            labels += int(sure.sum())
            silent += int(quiet.sum())
            store.part('unsure')[index] |= quiet
            for row, column in torch.nonzero(peaks).tolist():
                unseen += _leave_open(store, int(index[row]), float(centres[column]))
            advance(len(index))
    return Doubts(labels, silent, unseen)


def taken_labels(
    probabilities: Tensor, labels: BearingLabels, near: Tensor, least: float = LEAST_PROBABILITY
) -> Tensor:
    """Find the labels of vehicles that the network detects.

    Args:
        probabilities: (B, columns) predicted probability of a vehicle, 0 to 1.
        labels: M of each window.
        near: (B, M, columns) bool, see `near_labels`.
        least: minimum probability of a bearing that takes a label.

    Returns:
        (B, M) bool: the most probable bearing takes the widest label near it, then the next.
    """
    width_deg = labels.angles_deg[..., 2]
    taken = torch.zeros_like(labels.valid)
    rows, columns = torch.nonzero(_peaks(probabilities) & (probabilities >= least), as_tuple=True)
    surest_first = probabilities[rows, columns].argsort(descending=True, stable=True)
    for row, column in zip(rows[surest_first], columns[surest_first], strict=True):
        free = near[row, :, column] & labels.valid[row] & ~taken[row]
        if free.any():
            taken[row, torch.where(free, width_deg[row], -1.0).argmax()] = True
    return taken


@torch.no_grad()
def vehicle_probabilities(
    network: BearingFirst, store: ArrayStore, batches: Iterable[Tensor]
) -> Iterator[tuple[Tensor, BearingLabels, Tensor]]:
    """Yield window indices, their labels, and (B, columns) vehicle probabilities, 0 to 1."""
    network.eval()
    for index in batches:
        windows = store.batch(index)
        predicted = network(windows.level_db, windows.coherence, windows.steering)[:, 0].float()
        yield index, windows.labels, torch.sigmoid(predicted)


def near_labels(labels: BearingLabels, centres_deg: Tensor) -> Tensor:
    """(B, M, columns) bool: whether a bearing there can belong to a label's vehicle."""
    apart = (labels.angles_deg[..., 0, None] - centres_deg).abs()
    reach = torch.maximum(labels.angles_deg[..., 2, None] / 2, centres_deg.new_tensor(NEAR_DEG))
    return apart <= reach


def _leave_open(store: ArrayStore, window: int, azimuth_deg: float) -> bool:
    """Add an unsure label to a window if it has room for one."""
    slot = int(store.part('count')[window])
    if slot == store.part('unsure').shape[1]:
        return False
    angles = store.part('angles_deg')
    angles[window, slot] = angles.new_tensor([azimuth_deg, 0.0, WIDTH_DEG, 1.0])
    store.part('range_m')[window, slot] = torch.nan
    store.part('unsure')[window, slot] = True
    store.part('count')[window] += 1
    return True


def _peaks(probabilities: Tensor) -> Tensor:
    """(B, columns) bool: columns without a more probable neighbour."""
    around = torch.nn.functional.max_pool1d(probabilities[:, None], 3, stride=1, padding=1)[:, 0]
    return probabilities >= around
