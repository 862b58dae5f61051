"""What layers that are not taught say of windows, computed once.

Where only the last layers are taught, all before them says the same in every pass. So each window
goes through those once, and a step is one of the last layers alone. Of what `Augmentation` draws
anew for every pass, whether the own speed and the air are told is drawn once. Nothing is mirrored,
masked or left out.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from avdet_ros.process import SignalFlag
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.any_array.bearing_first import BearingFirst
from avdet_ros.training.any_array.windows.augmentation import NO_AUGMENTATION, Augmentation
from avdet_ros.training.any_array.windows.store import ArrayStore

BATCH = 64
"""Windows that go through the network at once."""


@torch.no_grad()
def frozen_parts(
    network: BearingFirst,
    store: ArrayStore,
    augmentation: Augmentation,
    seed: int,
    stop: SignalFlag,
    there: Tensor | None = None,
    maps: bool = False,
    bfloat16: bool = False,
    progress: Progress = SILENT,
) -> Tensor:
    """Columns of all windows of a set, 25 kB each, or what columns are made of, 133 kB.

    Args:
        network: whose layers before the last ones are frozen.
        store: the set.
        augmentation: of what it says only what the detector is told is drawn.
        seed: of what is drawn.
        stop: ends it early.
        there: those of the set's first windows, from an earlier call; None for none.
        maps: whether `BearingFirst.maps` are wanted, as own columns are taught.
        bfloat16: whether the network computes with half the digits.
        progress: shows windows.

    Returns:
        (windows, deep, front) or (windows, channels, front + around), float16 on the store's
        device; fewer windows if it was ended.
    """
    begin = 0 if there is None else len(there)
    if there is not None and begin == len(store):
        return there
    network.eval()
    told = replace(NO_AUGMENTATION, motion=augmentation.motion, air=augmentation.air)
    shape = network.maps_shape if maps else (network.shape.deep, network.shape.front)
    parts = torch.empty((len(store), *shape), dtype=torch.float16, device=store.device)
    if there is not None:
        parts[:begin] = there
    new = torch.arange(begin, len(store), device=store.device)
    # What is drawn for windows that come later is not what was drawn for the first.
    generator = torch.Generator(store.device).manual_seed(seed + begin)
    with progress.step('frozen layers', total=len(new)) as advance:
        for index in new.split(BATCH):
            if stop.received:
                return parts[: int(index[0])]
            batch = store.batch(index, told, generator)
            with torch.autocast(store.device.type, torch.bfloat16, enabled=bfloat16):
                heard = network.maps(batch.level_db, batch.coherence, batch.steering)
                parts[index] = (heard if maps else network.columns(heard)).half()
            advance(len(index))
    return parts
