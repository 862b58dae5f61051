"""Train a `BearingFirst`: one plain loop, on a GPU or a CPU, that can be resumed.

All windows lie in the device's memory (`ArrayStore`), including those that another program makes
meanwhile. The state is written after every epoch (`fit_state`); an interrupted epoch starts again.

The learning rate warms up and falls along a cosine, over a number of steps or over a time, for a
machine that is available only so long. With a number of steps and a set that does not grow, an
interrupted run ends with the same weights as one without interruption.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
import time

import torch
from torch import nn

from avdet_ros.errors import AvdetError
from avdet_ros.process import SignalFlag
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.any_array.bearing_first import BearingFirst, BearingShape
from avdet_ros.training.any_array.fitting.fit_state import (
    FitPlan,
    FitState,
    finished,
    head_of,
    open_state,
    share_done,
    teaches_own,
    write_state,
)
from avdet_ros.training.any_array.fitting.frozen_parts import frozen_parts
from avdet_ros.training.any_array.fitting.holding import held_loss
from avdet_ros.training.any_array.fitting.start_weights import joined_ranges
from avdet_ros.training.any_array.fitting.validation import found_in, scores_of, sure_labels
from avdet_ros.training.any_array.losses import bearing_loss
from avdet_ros.training.any_array.windows.store import ArrayStore

WARM_UP = 0.03
"""Share of the training in which the learning rate rises."""

_logger = logging.getLogger(__name__)


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
    """Train a network, or resume its training.

    Args:
        train: training windows; checked for new ones before each epoch.
        val: validation windows.
        out: the run's folder.
        plan: how to train; a resumed run needs the plan it was started with.
        shape: of the network.
        stop_after_s: stop before an epoch that would end later than this, counted from now, but
            after at least one; the same call resumes.
        compiled: whether the network goes through torch.compile.
        progress: shows each epoch's steps.

    Returns:
        The state; `finished` tells whether the plan is done. Ctrl-C and SIGTERM stop between two
        epochs' states: the one written last is complete.

    Raises:
        AvdetError: too few windows, no vehicle in the validation windows, a run of another plan, a
            loss that is no longer finite, or a folder that cannot be written.
    """
    began = time.monotonic()
    device = train.device
    # Every step has the same shapes: the fastest convolution is searched for only once.
    torch.backends.cudnn.benchmark = True
    _ready(train, val, plan)
    state = open_state(out, plan, shape, train, device)
    step_network = torch.compile(state.network) if compiled else state.network
    epoch_times_s: list[float] = []
    frozen: torch.Tensor | None = None
    with SignalFlag() as stop:
        while not finished(state, plan) and not stop.received:
            elapsed_s = time.monotonic() - began
            if epoch_times_s and elapsed_s + 1.1 * max(epoch_times_s) > stop_after_s:
                _logger.info('stopped after %.0f s; the same command resumes the run', elapsed_s)
                break
            epoch_began = time.monotonic()
            train.refresh()
            state.ranges = joined_ranges(state.ranges, train.taught_ranges())
            if plan.only:
                frozen_began = time.monotonic()
                frozen = frozen_parts(
                    state.network,
                    train,
                    plan.augmentation,
                    plan.seed,
                    stop,
                    frozen,
                    maps=teaches_own(state.network, plan),
                    bfloat16=_half(plan, device),
                    progress=progress,
                )
                # No later epoch takes this time, so it must not count in their estimate.
                epoch_began += time.monotonic() - frozen_began
                if stop.received:
                    break
            losses = _epoch(step_network, frozen, state, train, plan, progress, stop)
            if losses is None:
                break
            if not math.isfinite(losses['loss']):
                raise AvdetError(
                    f'{out}: epoch {state.epoch}: expected a finite loss, found {losses["loss"]}; '
                    'nothing of this epoch is written, and the same command starts it again; if '
                    'that fails too, choose a lower learning rate'
                )
            found = found_in(state.averaged, val)
            scores = scores_of(found, val)
            epoch_times_s.append(time.monotonic() - epoch_began)
            row = {
                'epoch': state.epoch,
                'step': state.step,
                'seconds': round(state.seconds, 1),
                'training_windows': len(train),
                **losses,
                **scores,
            }
            write_state(out, state, plan, train.labels_at, row)
            _logger.info(_line(row))
    return state


def _ready(train: ArrayStore, val: ArrayStore, plan: FitPlan) -> None:
    train.refresh()
    if len(train) < plan.batch:
        raise AvdetError(
            f'{train.folder}: expected at least {plan.batch} windows for a batch, found '
            f'{len(train)}'
        )
    if not len(val) or not sure_labels(val).any():
        raise AvdetError(
            f'{val.folder}: expected vehicles in validation windows, found none in {len(val)}'
        )
    if (plan.steps is None) == (plan.seconds is None):
        raise AvdetError('fit: expected either steps or seconds, found both or none')


def _epoch(
    network: nn.Module,
    frozen: torch.Tensor | None,
    state: FitState,
    train: ArrayStore,
    plan: FitPlan,
    progress: Progress,
    stop: SignalFlag,
) -> dict[str, float] | None:
    """Make one pass over up to `FitPlan.epoch_windows`; return None if interrupted."""
    device = train.device
    seed = 1_000_003 * plan.seed + state.epoch
    torch.manual_seed(seed)  # for dropout
    generator = torch.Generator(device).manual_seed(seed)
    order = torch.randperm(len(train), device=device, generator=generator)
    batches = order[: plan.epoch_windows].split(plan.batch)
    batches = [index for index in batches if len(index) == plan.batch]
    state.network.train(not plan.only)
    if plan.only:
        head_of(state.network, plan).train()
    sums: dict[str, torch.Tensor] = {}
    began, before_s = time.monotonic(), state.seconds
    count = 0
    with progress.step(f'epoch {state.epoch + 1}', total=len(batches)) as advance:
        for index in batches:
            if stop.received:
                return None
            if finished(state, plan):
                break
            rate = plan.learning_rate * _rate(share_done(state, plan))
            for group in state.optimiser.param_groups:
                group['lr'] = rate
            half = _half(plan, device)
            if frozen is None:
                batch = train.batch(index, plan.augmentation, generator)
                labels, predict = batch.labels, nn.Module.__call__
                inputs = [batch.level_db, batch.coherence, batch.steering]
            else:
                labels, inputs = train.labels(index), [frozen[index].float()]
                own = teaches_own(state.network, plan)
                predict = BearingFirst.of_maps if own else BearingFirst.column_values
                # The last layers alone are so small that bfloat16 saves nothing.
                half = own and half
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                predicted = predict(network, *inputs).float()
                if state.start is not None:
                    with torch.no_grad():
                        before = predict(state.start, *inputs).float()
            terms = bearing_loss(predicted, labels, state.network.shape)
            if state.start is not None:
                held = plan.hold * held_loss(predicted, before, labels, state.network.shape)
                terms |= {'held': held, 'loss': terms['loss'] + held}
            state.optimiser.zero_grad(set_to_none=True)
            terms['loss'].backward()
            nn.utils.clip_grad_norm_(state.network.parameters(), plan.clip)
            state.optimiser.step()
            state.step += 1
            _average(state, plan)
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach()
            state.seconds = before_s + time.monotonic() - began
            count += 1
            advance()
    state.epoch += 1
    return {name: round(float(value) / max(count, 1), 5) for name, value in sums.items()}


def _half(plan: FitPlan, device: torch.device) -> bool:
    """Whether the network computes in bfloat16."""
    return device.type == 'cuda' if plan.bfloat16 is None else plan.bfloat16


@torch.no_grad()
def _average(state: FitState, plan: FitPlan) -> None:
    """Move the averaged weights towards the network's, faster in the first steps."""
    keep = min(plan.average, (1 + state.step) / (10 + state.step))
    averaged = [*state.averaged.parameters(), *_moving(state.averaged)]
    current = [*state.network.parameters(), *_moving(state.network)]
    torch._foreach_lerp_(averaged, current, 1 - keep)


def _moving(network: nn.Module) -> list[torch.Tensor]:
    """Return the running means and variances of batch normalisation."""
    return [value for name, value in network.named_buffers() if 'running_' in name]


def _rate(share: float) -> float:
    """Learning rate relative to the highest: a linear rise, then a cosine to a hundredth."""
    if share < WARM_UP:
        return max(share / WARM_UP, 0.01)
    decayed = min((share - WARM_UP) / (1 - WARM_UP), 1.0)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * decayed)) / 2


def _line(row: dict[str, float]) -> str:
    return (
        f'epoch {row["epoch"]:.0f}: {row["step"]:.0f} steps, {row["seconds"]:.0f} s, '
        f'{row["training_windows"]:.0f} training windows, loss {row["loss"]:.3f}, bearing AP '
        f'{row["bearing_ap"]:.3f}, recall {row["bearing_recall"]:.3f}, AP50 {row["ap50"]:.3f}, '
        f'azimuth {row["azimuth_error_deg"]:.2f} deg, range {row["range_error"]:.2f} '
        f'({row["range_covered"]:.2f} inside)'
    )
