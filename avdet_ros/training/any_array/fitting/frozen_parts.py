"""Outputs of the frozen layers, computed once per window.

When only the last layers are trained, all layers before them give the same output in every epoch.
So each window passes through these once, and a training step runs the last layers alone. Of the
`Augmentation`, only whether own speed and air temperature are known is drawn, and only once.
Nothing is mirrored, masked or left out.
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
    earlier: Tensor | None = None,
    maps: bool = False,
    bfloat16: bool = False,
    progress: Progress = SILENT,
) -> Tensor:
    """Compute the columns of all windows of a set, 25 kB each, or the columns' input, 133 kB.

    Args:
        network: all its layers but the last ones are frozen.
        store: the set.
        augmentation: only what the detector knows of speed and air is drawn from it.
        seed: of these draws.
        stop: ends the computation early.
        earlier: results of the set's first windows, from an earlier call; None for none.
        maps: whether `BearingFirst.maps` are wanted, to train own columns.
        bfloat16: whether the network computes in bfloat16.
        progress: shows windows.

    Returns:
        (windows, deep, front) or (windows, channels, front + around), float16 on the store's
        device; fewer windows if stopped early.
    """
    begin = 0 if earlier is None else len(earlier)
    if earlier is not None and begin == len(store):
        return earlier
    network.eval()
    motion_only = replace(NO_AUGMENTATION, motion=augmentation.motion, air=augmentation.air)
    shape = network.maps_shape if maps else (network.shape.deep, network.shape.front)
    parts = torch.empty((len(store), *shape), dtype=torch.float16, device=store.device)
    if earlier is not None:
        parts[:begin] = earlier
    new = torch.arange(begin, len(store), device=store.device)
    # Windows that come later must not repeat the draws of the first.
    generator = torch.Generator(store.device).manual_seed(seed + begin)
    with progress.step('frozen layers', total=len(new)) as advance:
        for index in new.split(BATCH):
            if stop.received:
                return parts[: int(index[0])]
            batch = store.batch(index, motion_only, generator)
            with torch.autocast(store.device.type, torch.bfloat16, enabled=bfloat16):
                features = network.maps(batch.level_db, batch.coherence, batch.steering)
                parts[index] = (features if maps else network.columns(features)).half()
            advance(len(index))
    return parts
