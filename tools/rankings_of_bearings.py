"""Try other scores, and other rules for boxes close together, for a model for any array.

    python tools/rankings_of_bearings.py STORE [DRIVES]

Runs the network of `student.onnx` on furnished validation drives (seeds from 162000), three
windows each, with an array without errors and with a neglected one whose true geometry is known.
The predictions are kept in the folder STORE, so an interrupted run continues. A learned score is a
logistic regression, fitted on the drives of even seeds for the odd ones and vice versa. Gains of
recall are the central 95 per cent of a bootstrap over drives. Bearings are averaged over columns
only if a rule says so; later model files do it within `detector.AVERAGED_DEG`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import sys

import numpy as np
from remembered_bearings import gains
from scipy.optimize import minimize
import torch
from torchvision.ops import nms

from avdet_ros.audio.samples import to_float
from avdet_ros.cli.console import progress_bars
from avdet_ros.detection.angles import to_pixels
from avdet_ros.detection.boxes import LEAST_IN_IMAGE, Detections, clip_boxes, inside_share
from avdet_ros.detection.model_file import front_end_for
from avdet_ros.detection.moving_steering import USUAL_AIR_C, MovingSteering
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.evaluation.bearings.metrics import (
    FoundBearings,
    MatchedBearings,
    TrueBearings,
    average_precision,
    match_bearings,
    match_window,
    operating_point,
    recall_at,
)
from avdet_ros.evaluation.bearings.of_boxes import box_azimuth_deg
from avdet_ros.evaluation.boxes.metrics import coco_average_precision, match
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.evaluation.runs.window_store import Cut, WindowSetting, render_drive
from avdet_ros.files import write_atomically
from avdet_ros.paths import share
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.conditions import Condition, true_rig
from avdet_ros.training.any_array.bearing_first import BearingShape
from avdet_ros.training.any_array.boxes import decoded_angles, plane_boxes, range_quantiles
from avdet_ros.training.any_array.detector import (
    APART_DEG,
    OVERLAP,
    BearingDetector,
    averaged_azimuths,
)
from avdet_ros.training.any_array.fitting.start_weights import read_start_weights

FIRST_SEED, NEAR_DEG = 162_000, 3.0
MODEL = 'models/student.onnx'
LEAST_LOGIT = -5.5
"""Minimum logit of a column that is used: about the minimum score of the model file."""

ARRAYS = {'ideal': 'no errors', 'neglected': 'neglected, true geometry'}


@dataclass(frozen=True)
class Rule:
    """Rule that turns columns into boxes with scores.

    Attributes:
        score: target of a learned score, a name of `TARGETS`, and its inputs, from `INPUTS`;
            None for presence alone.
        apart_deg: a bearing closer than this to a likelier one is dropped; 0: none is dropped.
        overlap: a box that overlaps a likelier one by more is dropped; above 1: none is dropped.
        averaged_deg: radius within which bearings of columns for the same vehicle are averaged;
            0 for no averaging.
    """

    score: tuple[str, tuple[str, ...]] | None = None
    apart_deg: float = APART_DEG
    overlap: float = OVERLAP
    averaged_deg: float = 0.0


INPUTS = (
    *('presence', 'three columns', 'five columns', 'lower neighbour', 'higher neighbour'),
    *('range', 'spread of the range', 'elevation', 'width', 'height', 'in the image'),
)
"""Possible inputs of a learned score, for each column."""

RULES = {
    'as the model file does: presence': Rule(),
    'presence summed over three columns': Rule(('bearing', ('three columns',))),
    'presence summed over five columns': Rule(('bearing', ('five columns',))),
    'learned for bearings: presence, both neighbours': Rule(
        ('bearing', ('presence', 'lower neighbour', 'higher neighbour'))
    ),
    'learned for bearings: presence, range and its spread': Rule(
        ('bearing', ('presence', 'range', 'spread of the range'))
    ),
    'learned for bearings: all of it': Rule(('bearing', INPUTS)),
    'learned for boxes: presence, range': Rule(('box', ('presence', 'range'))),
    'learned for boxes: all of it': Rule(('box', INPUTS)),
    'bearings 1 degree apart instead of 2': Rule(apart_deg=1.0),
    'bearings 3 degrees apart': Rule(apart_deg=3.0),
    'boxes dropped from an overlap of .7 on instead of .5': Rule(overlap=0.7),
    'no box dropped for its overlap': Rule(overlap=1.1),
    'bearings averaged over columns, 1 degree': Rule(averaged_deg=1.0),
    'bearings averaged over columns, 2 degrees': Rule(averaged_deg=2.0),
}


@dataclass(frozen=True)
class PredictedWindow:
    """One window: the predictions of 64 columns, and the ground truth.

    Attributes:
        drive: number of the drive.
        columns: predictions, (64, VALUES).
        truth: vehicles in the image.
    """

    drive: int
    columns: torch.Tensor
    truth: TruthFrame


def predict_drive(seed: int, array: str, rig: Rig, detector: BearingDetector, path: Path) -> None:
    """Render the windows of a drive and write the predictions of the columns."""
    setting = WindowSetting(Condition('furnished', array), Cut())
    drive = render_drive(setting, seed, rig)
    model_rig = true_rig(rig, drive.array) if array == 'neglected' else rig
    front_end, shape = front_end_for(model_rig, MODEL), detector.network.shape
    azimuths = azimuth_grid(shape.front, shape.front_deg, shape.around)
    steering = torch.from_numpy(
        MovingSteering(model_rig, front_end, azimuths).at(0.0, USUAL_AIR_C)
    )
    columns: list[np.ndarray] = []
    hook = detector.network.register_forward_hook(
        lambda *call: columns.append(call[2][0].T.numpy())
    )
    for piece, first in zip(drive.piece, drive.first, strict=True):
        sound = to_float(drive.sound[piece][:, first : first + front_end.samples])
        features = front_end.compute(np.ascontiguousarray(sound))
        with torch.inference_mode():
            detector(torch.from_numpy(features)[None], steering)
    hook.remove()
    truth = drive.truth[-0.5]
    names = ('boxes_px', 'ids', 'distance_m', 'visible', 'level_db')
    with write_atomically(path) as file:
        np.savez(
            file,
            columns=np.stack(columns),
            count=np.array([len(frame) for frame in truth]),
            **{name: np.concatenate([getattr(frame, name) for frame in truth]) for name in names},
        )


def read(path: Path, drive: int) -> list[PredictedWindow]:
    """Read the output of `predict_drive`."""
    names = ('boxes_px', 'ids', 'distance_m', 'visible', 'level_db')
    with np.load(path) as arrays:
        ends = np.cumsum(arrays['count'])[:-1]
        truth = zip(*(np.split(arrays[name], ends) for name in names), strict=True)
        columns = torch.from_numpy(arrays['columns'])
    return [
        PredictedWindow(drive, values, TruthFrame(*frame))
        for values, frame in zip(columns, truth, strict=True)
    ]


@dataclass(frozen=True)
class Boxes:
    """Boxes that a rule finds in a window, likeliest first.

    Attributes:
        boxes_px: (N, 4), clipped to the image.
        azimuth_deg: (N,), seen from the camera.
        inputs: inputs of scores, (N, INPUTS).
    """

    boxes_px: np.ndarray
    azimuth_deg: np.ndarray
    inputs: np.ndarray


def find(window: PredictedWindow, rule: Rule, rig: Rig) -> Boxes:
    """Find the boxes of a window by a rule, with the inputs of scores."""
    columns, shape = window.columns, BearingShape()
    logits, angles = columns[:, 0], decoded_angles(columns, shape)
    if rule.averaged_deg:
        angles = averaged_azimuths(angles, logits, rule.averaged_deg)
    middle, size = -angles[:, :2], angles[:, 2:]
    kept = torch.arange(len(logits))
    if rule.overlap < 1:
        kept = nms(torch.cat([middle - size / 2, middle + size / 2], 1), logits, rule.overlap)
    if rule.apart_deg:
        # As in `distinct_boxes`: sectors that share half are this far apart.
        left = middle[kept, 0] - 1.5 * rule.apart_deg
        flat = torch.zeros_like(left)
        sectors = torch.stack([left, flat, left + 3 * rule.apart_deg, flat + 1], dim=1)
        kept = kept[nms(sectors, logits[kept], 0.5)]
    kept = kept[torch.argsort(logits[kept], descending=True)]
    range_m = range_quantiles(columns).numpy()
    boxes = to_pixels(plane_boxes(angles).numpy(), range_m[:, 1], rig)
    inside = inside_share(boxes, rig.camera.width_px, rig.camera.height_px)
    kept = kept.numpy()
    kept = kept[(inside[kept] >= LEAST_IN_IMAGE) & (logits.numpy()[kept] > LEAST_LOGIT)]
    around = np.pad(logits.numpy(), 2, constant_values=-9.0)
    sides = np.stack([around[1:-3], around[3:-1]])
    presence = 1 / (1 + np.exp(-around))
    three = presence[1:-3] + presence[2:-2] + presence[3:-1]
    inputs = np.column_stack(
        [
            logits,
            np.log(three),
            np.log(three + presence[:-4] + presence[4:]),
            sides.min(axis=0),
            sides.max(axis=0),
            np.log(range_m[:, 1]),
            np.log(range_m[:, 2] / range_m[:, 0]),
            columns[:, 2:5],
            inside,
        ]
    )
    cut = clip_boxes(boxes, rig.camera.width_px, rig.camera.height_px)[kept]
    return Boxes(cut, box_azimuth_deg(cut, rig), inputs[kept])


def right_bearings(found: Boxes, truth: TruthFrame, rig: Rig) -> np.ndarray:
    """Return which of a window's bearings are right, (N,) bool."""
    return match_window(found.azimuth_deg, box_azimuth_deg(truth.boxes_px, rig), NEAR_DEG) >= 0


def right_boxes(found: Boxes, truth: TruthFrame, rig: Rig) -> np.ndarray:
    """Return which of a window's boxes are right, (N,) bool."""
    return match(found.boxes_px, truth.boxes_px, 0.5) >= 0


TARGETS: dict[str, Callable[[Boxes, TruthFrame, Rig], np.ndarray]] = {
    'bearing': right_bearings,
    'box': right_boxes,
}


def scores_of(
    found: list[Boxes], windows: list[PredictedWindow], rule: Rule, rig: Rig
) -> list[np.ndarray]:
    """Return each window's scores."""
    if rule.score is None:
        return [boxes.inputs[:, 0] for boxes in found]
    target, names = rule.score
    places = [INPUTS.index(name) for name in names]
    rows = np.concatenate([boxes.inputs[:, places] for boxes in found]).astype(np.float64)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    right = np.concatenate(
        [TARGETS[target](a, b.truth, rig) for a, b in zip(found, windows, strict=True)]
    )
    counts = [len(boxes.inputs) for boxes in found]
    half = np.repeat([window.drive % 2 for window in windows], counts)
    scores = np.zeros(len(rows))
    for part in (0, 1):
        weights = learned(rows[half != part], right[half != part])
        scores[half == part] = rows[half == part] @ weights[:-1] + weights[-1]
    return np.split(scores, np.cumsum(counts)[:-1])


def learned(inputs: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Fit a logistic regression: (N, K) inputs, (N,) targets; return K weights and a constant."""
    inputs = np.column_stack([inputs, np.ones(len(inputs))])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = inputs @ weights
        slope = inputs.T @ (1 / (1 + np.exp(-logits)) - right)
        pull = np.append(weights[:-1], 0.0)
        value = (np.logaddexp(0, logits) - right * logits).sum() + pull @ weights / 2
        return float(value), slope + pull

    start = np.zeros(inputs.shape[1])
    return np.asarray(minimize(loss, start, jac=True, method='L-BFGS-B').x)


def found_by(
    windows: list[PredictedWindow], rule: Rule, rig: Rig
) -> tuple[MatchedBearings, list[Detections]]:
    """Return the matched bearings and the boxes of all windows."""
    found = [find(window, rule, rig) for window in windows]
    scores = scores_of(found, windows, rule, rig)
    drives: dict[int, list[tuple[FoundBearings, TrueBearings]]] = {}
    detections = []
    for boxes, score, window in zip(found, scores, windows, strict=True):
        truth = window.truth
        true = TrueBearings(
            box_azimuth_deg(truth.boxes_px, rig), truth.distance_m, truth.level_db, truth.visible
        )
        drives.setdefault(window.drive, []).append((FoundBearings(boxes.azimuth_deg, score), true))
        order = np.argsort(-score, kind='stable')
        detections.append(Detections(boxes.boxes_px[order], score[order]))
    return match_bearings(list(drives.values()), NEAR_DEG), detections


def cells(windows: list[PredictedWindow], rule: Rule, rig: Rig) -> list[str]:
    """Return AP, recall, its gain and the error of bearings, and AP@0.5 of boxes."""
    matched, detections = found_by(windows, rule, rig)
    point = operating_point(matched)
    error = np.abs(matched.error_deg[: point.bearings])
    box_ap = coco_average_precision([window.truth for window in windows], detections)[0]
    numbers = (average_precision(matched), recall_at(matched, point), box_ap)
    ap, recall, box = (f'{value:.3f}'.replace('0.', '.') for value in numbers)
    low, high = gains(found_by(windows, Rule(), rig)[0], matched, 200)[1]
    gain = f'{low:+.3f} to {high:+.3f}'.replace('0.', '.')
    return [ap, recall, '-' if rule == Rule() else gain, f'{np.nanmedian(error):.2f}°', box]


def main(store: Path, count: int) -> None:
    """Print the table."""
    rig = load_rig()
    detector = BearingDetector(read_start_weights(share(MODEL)).network()).eval()
    sets = []
    for array in ARRAYS:
        windows = []
        (store / array).mkdir(parents=True, exist_ok=True)
        with progress_bars().step(f'drives, {array} array', count) as advance:
            for seed in range(FIRST_SEED, FIRST_SEED + count):
                path = store / array / f'{seed}.npz'
                if not path.exists():
                    predict_drive(seed, array, rig, detector, path)
                windows += read(path, seed)
                advance()
        sets.append(windows)
        labels = sum(len(window.truth) for window in windows)
        print(f'{ARRAYS[array]}: {len(windows)} windows of {count} drives, {labels} labels')
    print('| |' + ' AP, 3° | recall, 3° | gain | error | AP@0.5 |' * len(sets))
    print('|---' + '|--:' * 5 * len(sets) + '|')
    for name, rule in RULES.items():
        numbers = [cell for windows in sets for cell in cells(windows, rule, rig)]
        print(f'| {name} | ' + ' | '.join(numbers) + ' |', flush=True)


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 150)
