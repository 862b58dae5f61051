"""Fitting a `BearingFirst`: one plain loop, on a GPU or a CPU, that goes on where it was.

All windows lie in the device's memory (`ArrayStore`), also those that another program makes
meanwhile. After every epoch weights, averaged weights, optimiser and progress are written to
``last.pt``, and the averaged weights to ``best.pt`` when validation is better than ever; an epoch
that was broken off is begun anew. ``log.csv`` has a line an epoch.

The learning rate warms up and falls by a cosine: over a number of steps, or over a time, for a
machine that is lent for so long. Fitted for a number of steps on a set that does not grow, a run
that was interrupted ends with the weights of one that was not.
"""

from __future__ import annotations

import copy
import csv
from dataclasses import asdict, dataclass, field
import logging
import math
from pathlib import Path
import time
from typing import Any

import torch
from torch import nn

from avdet_ros.detection.taught_ranges import TaughtRanges
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error, write_atomically
from avdet_ros.process import SignalFlag
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape
from avdet_ros.training.any_array.fitting.best_epoch import read_state
from avdet_ros.training.any_array.fitting.start_weights import (
    BEST,
    check_same_shape,
    joined_ranges,
    read_ranges,
    read_start_weights,
)
from avdet_ros.training.any_array.fitting.store import ArrayStore, Augmentation
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of
from avdet_ros.training.any_array.losses import bearing_loss

LAST, LOG = 'last.pt', 'log.csv'

WARM_UP = 0.03
"""Part of the fitting in which the learning rate rises."""

BOXES_COUNT = 0.5
"""How much average precision of boxes counts beside that of bearings in choosing an epoch."""

_logger = logging.getLogger(__name__)


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


def fit(
    train: ArrayStore,
    val: ArrayStore,
    out: Path,
    plan: FitPlan,
    shape: BearingShape,
    stop_after_s: float = math.inf,
    compiled: bool = False,
    progress: Progress = SILENT,
) -> FitState:
    """Fit, or go on with a fitting.

    Args:
        train: training windows; asked for new ones before each epoch.
        val: validation windows.
        out: the run's folder.
        plan: how; of a run that goes on, the one it was begun with.
        shape: of the network.
        stop_after_s: end before an epoch that would not be done by then, counted from now, but
            after one at the least; the same call goes on.
        compiled: whether the network goes through torch.compile.
        progress: shows each epoch's steps.

    Returns:
        The state; `finished` tells whether the plan is done. Ctrl-C and SIGTERM end it between
        two epochs' states: what was written last is whole.

    Raises:
        AvdetError: too few windows, a run of another plan, or a folder that cannot be written.
    """
    began = time.monotonic()
    device = train.device
    # Every step has the same shapes: the fastest convolution is looked for once.
    torch.backends.cudnn.benchmark = True
    _ready(train, plan)
    state = _open(out, plan, shape, train, device)
    step_network = torch.compile(state.network) if compiled else state.network
    took: list[float] = []
    with SignalFlag() as stop:
        while not finished(state, plan) and not stop.received:
            spent = time.monotonic() - began
            if took and spent + 1.1 * max(took) > stop_after_s:
                _logger.info('stopped after %.0f s; the same command goes on', spent)
                break
            epoch_began = time.monotonic()
            train.refresh()
            state.ranges = joined_ranges(state.ranges, train.taught_ranges())
            losses = _epoch(step_network, state, train, plan, progress, stop)
            if losses is None:
                break
            found = found_in(state.averaged, val)
            scores = scores_of(found, val)
            took.append(time.monotonic() - epoch_began)
            row = {
                'epoch': state.epoch,
                'step': state.step,
                'seconds': round(state.seconds, 1),
                'training_windows': len(train),
                **losses,
                **scores,
            }
            _write(out, state, plan, train.labels_at, row)
            _logger.info(_line(row))
    return state


def finished(state: FitState, plan: FitPlan) -> bool:
    """Whether all of a plan is done."""
    return _share(state, plan) >= 1


def _ready(train: ArrayStore, plan: FitPlan) -> None:
    train.refresh()
    if len(train) < plan.batch:
        raise AvdetError(
            f'{train.folder}: expected at least {plan.batch} windows for a batch, found '
            f'{len(train)}'
        )
    if (plan.steps is None) == (plan.seconds is None):
        raise AvdetError('fit: expected either steps or seconds, found both or none')


def _open(
    out: Path, plan: FitPlan, shape: BearingShape, train: ArrayStore, device: torch.device
) -> FitState:
    """A fresh state, or the one a run was left in."""
    torch.manual_seed(plan.seed)
    network = BearingFirst(shape).to(device)
    there, ranges = (out / LAST).exists(), None
    if not plan.start_from:
        network.set_levels(train.levels())
    elif not there:
        start = read_start_weights(plan.start_from)
        check_same_shape(plan.start_from, start.shape, shape)
        network.load_state_dict(start.weights)
        ranges = start.ranges
    optimiser = torch.optim.AdamW(
        _groups(network, plan), lr=plan.learning_rate, fused=device.type == 'cuda'
    )
    state = FitState(network, copy.deepcopy(network).eval(), optimiser, ranges=ranges)
    if not there:
        return state
    saved = read_state(out / LAST, device)
    # What runs of older versions do not say was as it is by default.
    unsaid = {'plan': asdict(FitPlan()), 'shape': {}}
    for name, ours in (('plan', asdict(plan)), ('shape', asdict(shape))):
        theirs = {**unsaid[name], **saved[name]}
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


def _epoch(
    network: nn.Module,
    state: FitState,
    train: ArrayStore,
    plan: FitPlan,
    progress: Progress,
    stop: SignalFlag,
) -> dict[str, float] | None:
    """One pass over up to `FitPlan.epoch_windows`; None if it was broken off."""
    device = train.device
    seed = 1_000_003 * plan.seed + state.epoch
    torch.manual_seed(seed)  # of the dropout
    generator = torch.Generator(device).manual_seed(seed)
    order = torch.randperm(len(train), device=device, generator=generator)
    batches = order[: plan.epoch_windows].split(plan.batch)
    batches = [index for index in batches if len(index) == plan.batch]
    state.network.train()
    sums: dict[str, torch.Tensor] = {}
    begun, before_s = time.monotonic(), state.seconds
    half = device.type == 'cuda' if plan.bfloat16 is None else plan.bfloat16
    count = 0
    with progress.step(f'epoch {state.epoch + 1}', total=len(batches)) as advance:
        for index in batches:
            if stop.received:
                return None
            if finished(state, plan):
                break
            rate = plan.learning_rate * _rate(_share(state, plan))
            for group in state.optimiser.param_groups:
                group['lr'] = rate
            batch = train.batch(index, plan.augmentation, generator)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                columns = network(batch.level_db, batch.coherence, batch.steering)
            terms = bearing_loss(columns.float(), batch.labels, state.network.shape)
            state.optimiser.zero_grad(set_to_none=True)
            terms['loss'].backward()
            nn.utils.clip_grad_norm_(state.network.parameters(), plan.clip)
            state.optimiser.step()
            state.step += 1
            _average(state, plan)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach()
            state.seconds = before_s + time.monotonic() - begun
            count += 1
            advance()
    state.epoch += 1
    return {name: round(float(value) / max(count, 1), 5) for name, value in sums.items()}


@torch.no_grad()
def _average(state: FitState, plan: FitPlan) -> None:
    """Move the averaged weights towards the network's; quickly in the first steps."""
    keep = min(plan.average, (1 + state.step) / (10 + state.step))
    ours = [*state.averaged.parameters(), *_moving(state.averaged)]
    theirs = [*state.network.parameters(), *_moving(state.network)]
    torch._foreach_lerp_(ours, theirs, 1 - keep)


def _moving(network: nn.Module) -> list[torch.Tensor]:
    """The means and variances of batch normalisation."""
    return [value for name, value in network.named_buffers() if 'running_' in name]


def _groups(network: nn.Module, plan: FitPlan) -> list[dict[str, Any]]:
    """Kernels decay, scales and biases do not."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {'params': kernels, 'weight_decay': plan.weight_decay},
        {'params': others, 'weight_decay': 0.0},
    ]


def _share(state: FitState, plan: FitPlan) -> float:
    """How much of the plan is done, from 0 to 1 and beyond."""
    if plan.steps is not None:
        return state.step / plan.steps
    return state.seconds / plan.seconds


def _rate(share: float) -> float:
    """Of the highest learning rate: rising evenly, then a falling cosine to a hundredth."""
    if share < WARM_UP:
        return max(share / WARM_UP, 0.01)
    fallen = min((share - WARM_UP) / (1 - WARM_UP), 1.0)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * fallen)) / 2


def _write(
    out: Path, state: FitState, plan: FitPlan, labels_at: str, row: dict[str, float]
) -> None:
    about = {
        'shape': asdict(state.network.shape),
        'plan': asdict(plan),
        'ranges': asdict(state.ranges),
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


def _plain(value: Any) -> Any:
    """Tuples and lists alike."""
    return list(value) if isinstance(value, tuple) else value


def _line(row: dict[str, float]) -> str:
    return (
        f'epoch {row["epoch"]:.0f}: {row["step"]:.0f} steps, {row["seconds"]:.0f} s, '
        f'{row["training_windows"]:.0f} training windows, loss {row["loss"]:.3f}, bearing AP '
        f'{row["bearing_ap"]:.3f}, recall {row["bearing_recall"]:.3f}, AP50 {row["ap50"]:.3f}, '
        f'azimuth {row["azimuth_error_deg"]:.2f} deg, range {row["range_error"]:.2f} '
        f'({row["range_covered"]:.2f} inside)'
    )
