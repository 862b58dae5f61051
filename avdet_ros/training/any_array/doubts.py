"""Where eyes and ears disagree nothing is taught: seen and not heard, heard and not seen.

Teachers that look at pictures draw boxes around parked vehicles, and see none behind a corner, in
the dark or far away. A network that hears already knows better in the plain cases: a box in a
direction from which it hears nothing at all becomes an unsure label, and so does a direction from
which it hears a vehicle for sure and where no box is. What it knows less well is left to the
teachers (learning with some labels withheld: "co-teaching", B. Han et al., arXiv 1804.06872).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.boxes import columns_deg
from avdet_ros.training.any_array.losses import BearingLabels
from avdet_ros.training.any_array.windows.store import ArrayStore

NEAR_DEG = 4.0
"""A box and a bearing so near to each other are of the same vehicle."""

SILENT = 0.2
"""A network that says less than this near a box hears nothing there: of a good teacher's labels on
simulated windows six in ten are on nothing that can be heard, and half of those go, with four in a
hundred of the others (`tools/doubted_labels.py`)."""

SURE = 0.5
"""One that says more hears a vehicle."""

WHOLE_DEG = 360.0
"""Labels that are complete in so wide a sector are the simulator's own and are not doubted."""

WIDTH_DEG = 5.0
"""Of the direction that stays open where something is heard and not seen."""


@dataclass(frozen=True)
class Doubts:
    """What was found in a set.

    Attributes:
        labels: sure labels that there were.
        silent: of them, those that are not heard, unsure now.
        unseen: directions that are heard and were not labelled, unsure now.
    """

    labels: int
    silent: int
    unseen: int


@torch.no_grad()
def settle_doubts(network: BearingFirst, store: ArrayStore, batch: int = 128) -> Doubts:
    """Make labels unsure where a network that hears disagrees for sure.

    Args:
        network: taught before, on the truth of other windows.
        store: a set with the labels of teachers, changed in place; windows in it that the
            simulator has labelled stay as they are.
        batch: windows at once.

    Returns:
        What was found in the windows that teachers have labelled.
    """
    centres = columns_deg(network.shape, store.device)
    labels = silent = unseen = 0
    left, right = store.part('seen_deg').unbind(dim=1)
    watched = torch.nonzero(left - right < WHOLE_DEG)[:, 0]
    batches = watched.split(batch) if len(watched) else ()
    for index, its, heard, near, loudest in _heard(network, store, batches):
        sure = its.valid if its.unsure is None else its.valid & ~its.unsure
        quiet = sure & (loudest < SILENT)
        seen = (near & its.valid[..., None]).any(dim=1)
        peaks = _peaks(heard) & (heard > SURE) & ~seen
        labels += int(sure.sum())
        silent += int(quiet.sum())
        store.part('unsure')[index] |= quiet
        for row, column in torch.nonzero(peaks).tolist():
            unseen += _leave_open(store, int(index[row]), float(centres[column]))
    return Doubts(labels, silent, unseen)


@torch.no_grad()
def heard_near(network: BearingFirst, store: ArrayStore, batch: int = 128) -> Tensor:
    """(windows, labels) how sure a network is of a vehicle near each label of a set, 0 to 1."""
    every = torch.arange(len(store), device=store.device)
    return torch.cat([loudest for *_, loudest in _heard(network, store, every.split(batch))])


def _heard(
    network: BearingFirst, store: ArrayStore, batches: Iterable[Tensor]
) -> Iterator[tuple[Tensor, BearingLabels, Tensor, Tensor, Tensor]]:
    """Windows, their labels, what each column hears, columns near a label, the best of these."""
    network.eval()
    centres = columns_deg(network.shape, store.device)
    for index in batches:
        windows = store.batch(index)
        predicted = network(windows.level_db, windows.coherence, windows.steering)[:, 0].float()
        heard, its = torch.sigmoid(predicted), windows.labels
        apart = (its.angles_deg[..., 0, None] - centres).abs()
        near = apart <= torch.maximum(
            its.angles_deg[..., 2, None] / 2, centres.new_tensor(NEAR_DEG)
        )
        yield index, its, heard, near, torch.where(near, heard[:, None], 0.0).amax(dim=-1)


def _leave_open(store: ArrayStore, window: int, azimuth_deg: float) -> bool:
    """Add an unsure label to a window, if it has room for one."""
    slot = int(store.part('count')[window])
    if slot == store.part('unsure').shape[1]:
        return False
    angles = store.part('angles_deg')
    angles[window, slot] = angles.new_tensor([azimuth_deg, 0.0, WIDTH_DEG, 1.0])
    store.part('range_m')[window, slot] = torch.nan
    store.part('unsure')[window, slot] = True
    store.part('count')[window] += 1
    return True


def _peaks(heard: Tensor) -> Tensor:
    """(B, columns) bool, where no neighbour is likelier."""
    around = torch.nn.functional.max_pool1d(heard[:, None], 3, stride=1, padding=1)[:, 0]
    return heard >= around
