"""How a network is fitted and where its fitting is: plan, state, and their files.

After every epoch weights, averaged weights, optimiser and progress are written to ``last.pt``, and
the averaged weights to ``best.pt`` when validation is better than ever. ``log.csv`` has a line an
epoch.
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
"""How much average precision of boxes counts beside that of bearings in choosing an epoch."""

HEADS = {'boxes': 'box', 'presence': 'presence'}
"""Last layers of a `BearingFirst` that can be taught alone: what a box is like, with its range;
and whether a vehicle is there. Of a network with own columns the former are these."""


@dataclass(frozen=True)
class FitPlan:
    """How to fit.

    Attributes:
        steps: optimiser steps in all; None to go by time.
        seconds: of fitting in all, if steps is None; those of all commands together.
        batch: windows a step.
        epoch_windows: windows between two validations; all of the set if it has fewer.
        learning_rate: highest.
        weight_decay: of AdamW.
        average: share of the averaged weights that stays a step.
        clip: largest norm of the gradient.
        seed: of weights, order and augmentation.
        start_from: a run's folder, ``best.pt`` or model file whose weights it begins with; '' for
            random ones. See `start_weights`.
        bfloat16: whether the network computes with half the digits; None: on a GPU.
        only: which of `HEADS` alone is taught, all else stays as it is; '' for everything. Of
            the augmentation then only what a detector is told is drawn, once; see
            `frozen_parts`.
        augmentation: what is drawn for every window.
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
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass
class FitState:
    """Where a fitting is.

    Attributes:
        network: as it is fitted.
        averaged: its mean over the last steps, which is what is validated and exported.
        optimiser: of the network.
        step: steps made.
        seconds: fitted so far.
        epoch: epochs made.
        best: highest score of an epoch, see `BOXES_COUNT`.
        ranges: the arrays of all windows it was fitted with, those that it began with included.
    """

    network: BearingFirst
    averaged: BearingFirst
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    epoch: int = 0
    best: float = -math.inf
    ranges: TaughtRanges | None = None


def head_of(network: BearingFirst, plan: FitPlan) -> nn.Module:
    """The last layers that a plan with `FitPlan.only` teaches."""
    return network.own if teaches_own(network, plan) else getattr(network, HEADS[plan.only])


def teaches_own(network: BearingFirst, plan: FitPlan) -> bool:
    """Whether a plan teaches a network's own columns alone."""
    return plan.only == 'boxes' and network.shape.own_columns


def share_done(state: FitState, plan: FitPlan) -> float:
    """How much of the plan is done, from 0 to 1 and beyond."""
    if plan.steps is not None:
        return state.step / plan.steps
    if plan.seconds is None:
        raise ValueError('plan: expected steps or seconds, found neither')
    return state.seconds / plan.seconds


def finished(state: FitState, plan: FitPlan) -> bool:
    """Whether all of a plan is done."""
    return share_done(state, plan) >= 1


def open_state(
    out: Path, plan: FitPlan, shape: BearingShape, train: ArrayStore, device: torch.device
) -> FitState:
    """A fresh state, or the one a run was left in.

    Args:
        out: the run's folder.
        plan: how it is fitted.
        shape: of the network.
        train: training windows, whose levels a fresh network begins with.
        device: of the network.

    Raises:
        AvdetError: the run was begun with another plan or shape, or its file cannot be read.
    """
    torch.manual_seed(plan.seed)
    network = BearingFirst(shape).to(device)
    there, ranges = (out / LAST).exists(), None
    if not plan.start_from:
        network.set_levels(train.levels())
    elif not there:
        start = read_start_weights(plan.start_from)
        if shape.own_columns:
            start = start.with_own_columns()
        check_same_shape(plan.start_from, start.shape, shape)
        network.load_state_dict(start.weights)
        ranges = start.ranges
    if plan.only:
        # All others have no gradient, so the optimiser leaves them as they are.
        network.requires_grad_(False)
        head_of(network, plan).requires_grad_(True)
    optimiser = torch.optim.AdamW(
        _groups(network, plan), lr=plan.learning_rate, fused=device.type == 'cuda'
    )
    state = FitState(network, copy.deepcopy(network).eval(), optimiser, ranges=ranges)
    if not there:
        return state
    saved = read_run_file(out / LAST, 'network', 'averaged', 'optimiser', device=device)
    # What runs of older versions do not hold was as it is by default.
    default = {'plan': asdict(FitPlan()), 'shape': {}}
    for name, ours in (('plan', asdict(plan)), ('shape', asdict(shape))):
        theirs = {**default[name], **saved[name]}
        for key, value in ours.items():
            if _plain(theirs.get(key)) != _plain(value):
                raise AvdetError(
                    f'{out}: {key}: expected {theirs.get(key)} as the run was begun with, found '
                    f'{value}; choose another folder or the same settings'
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
    """Write `LAST`, `BEST` where this epoch is the best so far, and a line of `LOG`.

    Args:
        out: the run's folder.
        state: after an epoch; `FitState.best` is brought up to date.
        plan: how it is fitted.
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
    """Kernels decay, scales and biases do not."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {'params': kernels, 'weight_decay': plan.weight_decay},
        {'params': others, 'weight_decay': 0.0},
    ]


def _plain(value: Any) -> Any:
    """Tuples and lists alike."""
    return list(value) if isinstance(value, tuple) else value
