"""Plan and state of a network's training, and their files.

After every epoch, weights, averaged weights, optimiser and progress are written to ``last.pt``,
and the averaged weights to ``best.pt`` if its validation is the best so far. ``log.csv`` has one
line per epoch.
"""

from __future__ import annotations

import copy
import csv
from dataclasses import asdict, dataclass, field
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from avdet_ros.detection.taught_ranges import TaughtRanges
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error, write_atomically
from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape
from avdet_ros.training.any_array.fitting.run_file import BEST, LAST, LOG, read_run_file
from avdet_ros.training.any_array.fitting.start_weights import (
    check_same_shape,
    read_ranges,
    read_start_weights,
)
from avdet_ros.training.any_array.windows.augmentation import Augmentation
from avdet_ros.training.any_array.windows.store import ArrayStore

BOXES_COUNT = 0.5
"""Weight of the boxes' average precision against that of bearings when choosing an epoch."""

HEADS = {'boxes': 'box', 'presence': 'presence'}
"""Last layers of a `BearingFirst` that can be trained alone: those for the box with its range, and
those for the presence of a vehicle. With own columns, the former are these columns."""


@dataclass(frozen=True)
class FitPlan:
    """How to train a network.

    Attributes:
        steps: total number of optimiser steps; None for a time instead.
        seconds: total training time of all commands together, if steps is None.
        batch: windows per step.
        epoch_windows: windows between two validations; all of the set if it has fewer.
        learning_rate: the highest.
        weight_decay: of AdamW.
        average: decay of the averaged weights per step.
        clip: largest norm of the gradient.
        seed: of weights, order and augmentation.
        start_from: a run's folder, ``best.pt`` or model file with the weights to start from; ''
            for random ones. See `start_weights`.
        bfloat16: whether the network computes in bfloat16; None: only on a GPU.
        only: which of `HEADS` alone is trained, with all else frozen; '' for everything. Of the
            augmentation, only what the detector knows of speed and air is then drawn, once; see
            `frozen_parts`.
        hold: weight of the loss that holds the predictions of the start network where labels are
            open, see `fitting.holding`; 0 for none.
        augmentation: random changes of every window.
    """

    steps: int | None = 4000
    seconds: float | None = None
    batch: int = 128
    epoch_windows: int = 50_000
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    average: float = 0.999
    clip: float = 5.0
    seed: int = 0
    start_from: str = ''
    bfloat16: bool | None = None
    only: str = ''
    hold: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass
class FitState:
    """Current state of a training.

    Attributes:
        network: in training.
        averaged: its mean over the last steps, which is validated and exported.
        optimiser: of the network.
        step: steps done.
        seconds: training time so far.
        epoch: epochs done.
        best: highest score of an epoch, see `BOXES_COUNT`.
        ranges: the arrays of all its training windows, including those of the start weights.
        start: the network that the training started from, if its predictions are held.
    """

    network: BearingFirst
    averaged: BearingFirst
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    epoch: int = 0
    best: float = -math.inf
    ranges: TaughtRanges | None = None
    start: BearingFirst | None = None


def head_of(network: BearingFirst, plan: FitPlan) -> nn.Module:
    """Return the last layers that a plan with `FitPlan.only` trains."""
    return network.own if teaches_own(network, plan) else getattr(network, HEADS[plan.only])


def teaches_own(network: BearingFirst, plan: FitPlan) -> bool:
    """Whether a plan trains only a network's own columns."""
    return plan.only == 'boxes' and network.shape.own_columns


def share_done(state: FitState, plan: FitPlan) -> float:
    """Share of the plan that is done, from 0 to 1 and beyond."""
    if plan.steps is not None:
        return state.step / plan.steps
    if plan.seconds is None:
        raise ValueError('plan: expected steps or seconds, found neither')
    return state.seconds / plan.seconds


def finished(state: FitState, plan: FitPlan) -> bool:
    """Whether a plan is done."""
    return share_done(state, plan) >= 1


def open_state(
    out: Path, plan: FitPlan, shape: BearingShape, train: ArrayStore, device: torch.device
) -> FitState:
    """Create a fresh state, or load the last one of a run.

    Args:
        out: the run's folder.
        plan: how to train.
        shape: of the network.
        train: training windows; their levels set the scaling of a fresh network.
        device: of the network.

    Raises:
        AvdetError: the run was started with another plan or shape, or its file cannot be read.
    """
    torch.manual_seed(plan.seed)
    network = BearingFirst(shape).to(device)
    resumes, ranges = (out / LAST).exists(), None
    if not plan.start_from:
        network.set_levels(train.levels())
    elif not resumes or plan.hold:
        start = read_start_weights(plan.start_from)
        if shape.own_columns:
            start = start.with_own_columns()
        check_same_shape(plan.start_from, start.shape, shape)
        network.load_state_dict(start.weights)
        ranges = start.ranges
    held = copy.deepcopy(network).eval().requires_grad_(False) if plan.hold else None
    if plan.only:
        # All other layers have no gradient, so the optimiser leaves them unchanged.
        network.requires_grad_(False)
        head_of(network, plan).requires_grad_(True)
    optimiser = torch.optim.AdamW(
        _groups(network, plan), lr=plan.learning_rate, fused=device.type == 'cuda'
    )
    averaged = copy.deepcopy(network).eval()
    state = FitState(network, averaged, optimiser, ranges=ranges, start=held)
    if not resumes:
        return state
    saved = read_run_file(out / LAST, 'network', 'averaged', 'optimiser', device=device)
    # Settings that runs of older versions do not hold had today's defaults.
    default = {'plan': asdict(FitPlan()), 'shape': {}}
    for name, settings in (('plan', asdict(plan)), ('shape', asdict(shape))):
        saved_settings = {**default[name], **saved[name]}
        for key, value in settings.items():
            if _plain(saved_settings.get(key)) != _plain(value):
                raise AvdetError(
                    f'{out}: {key}: expected {saved_settings.get(key)} as at the start of the '
                    f'run, found {value}; choose another folder or the same settings'
                )
    network.load_state_dict(saved['network'])
    state.averaged.load_state_dict(saved['averaged'])
    optimiser.load_state_dict(saved['optimiser'])
    for key in ('step', 'seconds', 'epoch', 'best'):
        setattr(state, key, saved[key])
    state.ranges = read_ranges(saved)
    return state


def write_state(
    out: Path, state: FitState, plan: FitPlan, labels_at: str, row: dict[str, float]
) -> None:
    """Write `LAST`, `BEST` if this epoch is the best so far, and a line of `LOG`.

    Args:
        out: the run's folder.
        state: after an epoch; `FitState.best` is updated.
        plan: how to train.
        labels_at: instant of the labels.
        row: the epoch's numbers by name.

    Raises:
        AvdetError: they cannot be written.
    """
    about = {
        'shape': asdict(state.network.shape),
        'plan': asdict(plan),
        'ranges': None if state.ranges is None else asdict(state.ranges),
        'labels_at': labels_at,
        'row': row,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        if (score := row['bearing_ap'] + BOXES_COUNT * row['ap50']) > state.best:
            state.best = score
            with write_atomically(out / BEST) as file:
                torch.save({**about, 'network': state.averaged.state_dict()}, file)
        with write_atomically(out / LAST) as file:
            torch.save(
                {
                    **about,
                    'network': state.network.state_dict(),
                    'averaged': state.averaged.state_dict(),
                    'optimiser': state.optimiser.state_dict(),
                    **{key: getattr(state, key) for key in ('step', 'seconds', 'epoch', 'best')},
                },
                file,
            )
        fresh = not (out / LOG).exists()
        with (out / LOG).open('a', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise AvdetError(f'cannot write into {out}: {explain_os_error(error)}') from error


def _groups(network: nn.Module, plan: FitPlan) -> list[dict[str, Any]]:
    """Group the parameters: kernels have weight decay, scales and biases do not."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {'params': kernels, 'weight_decay': plan.weight_decay},
        {'params': others, 'weight_decay': 0.0},
    ]


def _plain(value: Any) -> Any:
    """Return a tuple as a list, so that both compare as equal."""
    return list(value) if isinstance(value, tuple) else value
