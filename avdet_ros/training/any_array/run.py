"""Train a model for any array on windows of drawn arrays, and write its model file.

The steps: fit, calibrate scores and ranges on the validation windows, export, compare the file
with the network, write its scores. They need torch, onnx and ONNX Runtime, and nothing for plots,
audio or ROS.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from itertools import islice
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avdet_ros.detection.contract import LABEL_OFFSET_S, contract_for_any_array
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.errors import AvdetError
from avdet_ros.files import write_json
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.any_array.beams.adaptive_beams import ALL_PAIRS
from avdet_ros.training.any_array.bearing_first import BearingShape
from avdet_ros.training.any_array.detector import BearingDetector
from avdet_ros.training.any_array.doubts import settle_doubts
from avdet_ros.training.any_array.export import check_export, export_any_array
from avdet_ros.training.any_array.fitting.best_epoch import read_best
from avdet_ros.training.any_array.fitting.fit import fit
from avdet_ros.training.any_array.fitting.fit_state import FitPlan, finished
from avdet_ros.training.any_array.fitting.run_file import BEST
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights
from avdet_ros.training.any_array.fitting.validation import (
    FoundInWindow,
    found_in,
    matched_bearings,
    scores_of,
    true_boxes,
)
from avdet_ros.training.any_array.model_file_scores import topic_windows
from avdet_ros.training.any_array.range_spread import fit_spread
from avdet_ros.training.any_array.windows.drawn_steering import SteeringTable
from avdet_ros.training.any_array.windows.shards import front_end_of
from avdet_ros.training.any_array.windows.store import ArrayStore
from avdet_ros.training.boxes.score_calibration import fit_curve, matches
from avdet_ros.training.fitting.commit import git_commit

MODEL, SCORES = 'student.onnx', 'scores.json'

LABEL_OFFSETS_S = {'centre': LABEL_OFFSET_S, 'end': 0.0}
"""Time of the boxes relative to the window's end, by the labels learned, for windows of 1 s."""

CHECKED_WINDOWS = 48
"""Windows on which the file is compared with the network."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnyArrayRun:
    """Settings of a run.

    Attributes:
        train: folder of training windows (format 3); it may still be growing.
        val: folder of validation windows.
        out: folder of the run.
        plan: how to fit.
        shape: of the network.
        labels_at: 'centre' or 'end' of the window.
        device: 'cuda' or 'cpu'.
        most: training windows at most, see `ArrayStore`; their memory is allocated at once.
        most_val: validation windows at most.
        about: what the windows are and who labelled them, for the file; '' names the folder.
        doubts: whether the network that the run starts from makes labels unsure, see `doubts`.
        curve: from logits to scores, see `Calibration.set`; None fits one to the validation
            windows.
    """

    train: Path
    val: Path
    out: Path
    plan: FitPlan = field(default_factory=FitPlan)
    shape: BearingShape = field(default_factory=BearingShape)
    labels_at: str = 'centre'
    device: str = 'cpu'
    most: int | None = None
    most_val: int | None = None
    about: str = ''
    doubts: bool = False
    curve: tuple[np.ndarray, np.ndarray] | None = None

    def azimuths_deg(self) -> np.ndarray:
        """Return the network's directions, degrees."""
        return azimuth_grid(self.shape.front, self.shape.front_deg, self.shape.around)

    def store(self, folder: Path, most: int | None, **options: Any) -> ArrayStore:
        """Return an empty store for one of the sets."""
        table = SteeringTable(front_end_of(folder), self.device)
        return ArrayStore(
            folder, table, self.azimuths_deg(), self.device, self.labels_at, most=most, **options
        )


def train_any_array(
    run: AnyArrayRun,
    stop_after_s: float = math.inf,
    compiled: bool = False,
    progress: Progress = SILENT,
) -> Path | None:
    """Fit and export, or resume a run.

    Args:
        run: its settings.
        stop_after_s: fit no longer than this in one call; the model of the best epoch so far is
            exported, and the same call resumes.
        compiled: whether the network goes through torch.compile.
        progress: shows how far the run is.

    Returns:
        The model file; None if no epoch was completed.

    Raises:
        AvdetError: windows or the run cannot be read, or lack features that the network needs.
    """
    _check_pairs(run)
    # Outputs of frozen layers are kept per window, so no window may replace another.
    train = run.store(run.train, run.most, renews=not run.plan.only)
    val = run.store(run.val, run.most_val)
    with progress.step('reading windows', total=None):
        train.refresh()
        val.refresh()
    _logger.info(
        f'{len(train)} training windows ({train.nbytes / 1e9:.1f} GB), {len(val)} validation'
    )
    if run.doubts:
        hears = read_start_weights(run.plan.start_from).network().to(run.device)
        _logger.info(f'{run.train}: {settle_doubts(hears, train, progress=progress)}')
    state = fit(train, val, run.out, run.plan, run.shape, stop_after_s, compiled, progress)
    if not (run.out / BEST).exists():
        return None
    _logger.info(
        'done' if finished(state, run.plan) else 'unfinished: exporting the best epoch so far'
    )
    return export_best(run, val)


def _check_pairs(run: AnyArrayRun) -> None:
    for folder in (run.train, run.val):
        found = front_end_of(folder).pair_count
        if run.shape.adaptive and found != ALL_PAIRS:
            raise AvdetError(
                f'{folder}: expected coherences of all {ALL_PAIRS} pairs of microphones, as the '
                f"network's adaptive beams need, found those of {found}"
            )


def export_only(run: AnyArrayRun, progress: Progress = SILENT) -> Path:
    """Export the best epoch of an existing run, calibrated on the validation windows.

    Its training windows are not read and may be gone; plan, sizes and labels are those it was
    fitted with.

    Raises:
        AvdetError: it has no best epoch, or was fitted by a version that did not record the arrays
            of its windows.
    """
    about = read_best(run.out)
    run = replace(run, labels_at=about.labels_at, shape=about.start.shape)
    val = run.store(run.val, run.most_val)
    with progress.step('reading windows', total=None):
        val.refresh()
    return export_best(run, val)


def export_best(run: AnyArrayRun, val: ArrayStore) -> Path:
    """Calibrate, export, check and score the best epoch's network."""
    best = read_best(run.out)
    network = best.start.network().to(run.device).eval()
    found = found_in(network, val)
    detector = BearingDetector(network).float().cpu()
    detector.spread.set(fit_spread(matched_bearings(found, val)))
    found = [spread_ranges(window, detector) for window in found]
    scores = scores_of(found, val)
    if run.curve is None:
        logits = np.concatenate([window.logits for window in found])
        right = np.concatenate(matches([window.boxes for window in found], true_boxes(val)))
        detector.calibration.set(*fit_curve(logits, right))
    else:
        detector.calibration.set(*run.curve)
    windows = int(best.row['training_windows'])
    about = {
        'recipe': f'any array: {best.plan}, {best.start.shape}',
        'data': f'{windows} windows of {run.about or run.train.name}, labels at the '
        f'{best.labels_at}',
    }
    ranges = best.start.ranges
    if ranges is None:
        raise ValueError('ranges: expected the arrays of the training windows, found None')
    contract = contract_for_any_array(
        front_end_of(run.val),
        LABEL_OFFSETS_S[best.labels_at],
        run.azimuths_deg(),
        ranges,
        metrics=finite_scores(scores),
        git_commit=git_commit(),
        **about,
    )
    path = run.out / MODEL
    export_any_array(detector, contract, path)
    some = islice(topic_windows(run.val, run.azimuths_deg()), CHECKED_WINDOWS)
    apart = check_export(detector, path, list(some))
    write_json(
        run.out / SCORES,
        {
            **about,
            'plan': best.plan,
            'shape': asdict(best.start.shape),
            'windows': windows,
            'torch_against_onnx': _finite(apart),
            'validation': finite_scores(scores),
        },
    )
    _logger.info(
        f'{path}: {path.stat().st_size / 1e6:.1f} MB, torch and ONNX Runtime {apart:.1e} apart; '
        f'validation bearing AP {scores["bearing_ap"]:.3f}'
    )
    return path


def spread_ranges(window: FoundInWindow, detector: BearingDetector) -> FoundInWindow:
    """Return the detections of a window with the ranges that the model file reports."""
    ranges = detector.spread(torch.from_numpy(window.range_m))
    return replace(window, range_m=ranges.numpy())


def finite_scores(scores: dict[str, float]) -> dict[str, float | None]:
    """Return scores in a form that JSON can hold: undefined ones become None."""
    return {name: _finite(value) for name, value in scores.items()}


def _finite(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
