"""One run in several processes: those that `torchrun` starts share the training, nothing else.

    torchrun --nproc-per-node 2 -m avdet_ros.cli.main train RECIPE --data DRIVES --out RUN

Training is shared through Lightning's DDP strategy; the first process runs every other stage while
the others wait. Without torchrun there is one process, on one GPU if there is any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
import os
from typing import Any

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(days=7)
"""How long the other processes wait for the first one's stages."""

_inside = False
"""Whether this process is running what the others wait for."""


def count() -> int:
    """Return the number of processes that torchrun started, 1 without it."""
    return int(os.environ.get('WORLD_SIZE', '1'))


def rank() -> int:
    """Return the rank of this process."""
    return int(os.environ.get('RANK', '0'))


def trainer_places() -> dict[str, Any]:
    """Return Lightning's arguments for devices and processes."""
    gpu = torch.cuda.is_available()
    if count() == 1:
        return {'accelerator': 'gpu' if gpu else 'cpu', 'devices': 1}
    here = int(os.environ.get('LOCAL_WORLD_SIZE', count()))
    return {
        'accelerator': 'gpu' if gpu else 'cpu',
        'devices': here,
        'num_nodes': max(1, count() // here),
        'strategy': 'ddp_find_unused_parameters_true',  # the pretext does not use the head
        # Batch norm statistics over all processes; torch supports this on GPUs only.
        'sync_batchnorm': gpu,
    }


@contextmanager
def process_group() -> Iterator[None]:
    """Join the other processes that torchrun started, for the duration of a run."""
    if count() == 1 or distributed.is_initialized():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', '0')))
    backend = 'cpu:gloo,cuda:nccl' if torch.cuda.is_available() else 'gloo'
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def rank_zero_first(do: Callable[[], object]) -> None:
    """Run something in the first process while the others wait for it; may be nested."""
    global _inside
    if _inside:
        do()
        return
    if rank() == 0:
        _inside = True
        try:
            do()
        finally:
            _inside = False
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()


def mean_over_processes(number: float, device: torch.device) -> float:
    """Return the mean of a number over all processes."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return number
    total = torch.tensor(number, dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return float(total) / distributed.get_world_size()


def balanced_over_ranks(
    terms: Mapping[str, Tensor], counts: Mapping[str, float], device: torch.device
) -> dict[str, Tensor]:
    """Scale a loss's terms so that their mean over processes equals one process with all examples.

    Args:
        terms: of this process's examples.
        counts: the count by which a term was divided here; terms without one are already means.
        device: of the terms.
    """
    shares = {
        name: number / mean_over_processes(number, device) for name, number in counts.items()
    }
    return {name: term * shares.get(name, 1.0) for name, term in terms.items()}
