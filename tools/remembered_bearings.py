"""Measure the gain of a memory of the last seconds for a model that sees one window at a time.

    python tools/remembered_bearings.py STORE [DRIVES]

Runs `student.onnx` on furnished validation drives of seven seconds (seeds from 161000) at ten
windows per second. Its predictions are kept in the folder STORE, so an interrupted run continues.
For each box, a memory computes how likely a vehicle was on its path in the windows before.
Logistic regression combines that with the score of the box's own window, fitted on the drives of
even seeds for the odd ones and vice versa. Only the order of boxes changes; future windows are not
used.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import sys

from bearing_memories import DrivePredictions, Memory, linked, straight, tracked
import numpy as np
from scipy.optimize import minimize

from avdet_ros.audio.feature_stream import FeatureStream
from avdet_ros.audio.samples import to_float, to_int16
from avdet_ros.audio.window import HOP_S, Window
from avdet_ros.cli.console import progress_bars
from avdet_ros.detection.session import Detector
from avdet_ros.evaluation.bearings.metrics import (
    FoundBearings,
    MatchedBearings,
    TrueBearings,
    average_precision,
    match_bearings,
    operating_point,
    recall_at,
)
from avdet_ros.evaluation.bearings.of_boxes import box_azimuth_deg
from avdet_ros.files import write_atomically
from avdet_ros.paths import share
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.sound import SoundRenderer

FIRST_SEED, SECONDS = 161_000, 7.0
SCORED_FROM, SCORED_EVERY = 30, 2
"""First scored window of a drive, after three seconds, and the step: five per second."""

FAINT_DB = -12

LEVELS = {
    '-18 to -12 dB': (-18, -12),
    '-12 to -6 dB': (-12, -6),
    '-6 to 0 dB': (-6, 0),
    'above 0 dB': (0, np.inf),
}


def predict_drive(seed: int, rig: Rig, path: Path) -> None:
    """Render a drive, run the model on it and write its predictions."""
    detector = Detector(share('models/student.onnx'), rig, providers=['cpu'], threads=1)
    front_end = detector.front_end
    scene = Condition('furnished', 'ideal').scene(seed, rig, SECONDS)
    rate, total = rig.sample_rate_hz, round(SECONDS * rig.sample_rate_hz)
    renderer, stream = SoundRenderer(scene), FeatureStream(front_end)
    seconds = [to_int16(renderer.read(at, min(rate, total - at))) for at in range(0, total, rate)]
    sound = to_float(np.concatenate(seconds, axis=1))
    lists: dict[str, list[np.ndarray]] = {}
    stamps, hop = [], front_end.hop_length
    while (start := int(len(stamps) * HOP_S * rate) // hop * hop) + front_end.samples <= total:
        end = start + front_end.samples
        features = stream.compute(Window(np.ascontiguousarray(sound[:, start:end]), end, 0, 1))
        found = detector.detect(features)
        stamps.append(end / rate + detector.contract.label_offset_s)
        truth = scene.labels(stamps[-1])
        for name, values in (
            ('boxes_px', found.boxes_px),
            ('scores', found.scores),
            ('range_m', found.range_m),
            ('true_px', truth.boxes_px),
            ('ids', truth.ids),
            ('distance_m', truth.distance_m),
            ('level_db', truth.level_db - truth.rest_db),
            ('visible', truth.visible_fraction),
        ):
            lists.setdefault(name, []).append(np.asarray(values))
    rotation = scene.ego_pose(np.array(stamps))[1]
    write_found(path, np.array(stamps), np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]), lists)


def write_found(
    path: Path, stamps_s: np.ndarray, yaw_rad: np.ndarray, lists: dict[str, list[np.ndarray]]
) -> None:
    """Write the predictions on a drive atomically."""
    arrays = {name: np.concatenate(values) for name, values in lists.items()}
    counts = {
        f'{name}_count': np.array([len(part) for part in lists[name]])
        for name in ('scores', 'distance_m')
    }
    with write_atomically(path) as file:
        np.savez(file, stamps_s=stamps_s, yaw_rad=yaw_rad, **arrays, **counts)


def read_found(path: Path, rig: Rig) -> DrivePredictions:
    """Read the output of `write_found`."""
    with np.load(path) as arrays:

        def parts(name: str, by: str) -> list[np.ndarray]:
            return np.split(arrays[name], np.cumsum(arrays[f'{by}_count'])[:-1])

        boxes, true = parts('boxes_px', 'scores'), parts('true_px', 'distance_m')
        scores = np.clip(arrays['scores'], 1e-4, 1 - 1e-4)
        odds = np.split(np.log(scores / (1 - scores)), np.cumsum(arrays['scores_count'])[:-1])
        rest = zip(
            *(parts(name, 'distance_m') for name in ('distance_m', 'level_db', 'visible')),
            strict=True,
        )
        return DrivePredictions(
            arrays['stamps_s'],
            np.degrees(np.unwrap(arrays['yaw_rad'])),
            boxes,
            [box_azimuth_deg(boxes_px, rig) for boxes_px in boxes],
            odds,
            [np.log(range_m[:, 1]) for range_m in parts('range_m', 'scores')],
            [
                TrueBearings(box_azimuth_deg(boxes_px, rig), *properties)
                for boxes_px, properties in zip(true, rest, strict=True)
            ],
            parts('ids', 'distance_m'),
        )


MEMORIES: dict[str, Memory | None] = {
    'every window alone': None,
    'boxes linked, fading in 0.3 s': linked(0.3),
    'boxes linked, fading in 0.9 s': linked(0.9),
    'boxes linked, fading in 1.9 s': linked(1.9),
    'best straight course, 1 s': straight(1.0),
    'best straight course, 2 s': straight(2.0),
    'best straight course, 3 s': straight(3.0),
    'mean over the track, 0.5 s': tracked(0.5),
    'mean over the track, 2 s': tracked(2.0),
}


def rescored(drives: list[DrivePredictions], memory: Memory | None) -> MatchedBearings:
    """Return the bearings of all scored windows, with the scores that a memory gives."""
    halves: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    inputs = []
    for number, drive in enumerate(drives):
        remembered = memory(drive) if memory else drive.log_odds
        scored = []
        for now in range(SCORED_FROM, len(drive.stamps_s), SCORED_EVERY):
            columns = np.stack([drive.log_odds[now], remembered[now]], axis=1)
            apart = np.abs(drive.azimuth_deg[now][:, None] - drive.true[now].azimuth_deg)
            right = (apart <= 3.0).any(axis=1)
            halves[number % 2].append(np.column_stack([columns, right]))
            scored.append((now, columns))
        inputs.append(scored)
    weights = [_weights(np.concatenate(halves[1 - half])) for half in (0, 1)]
    windows = [
        [
            (
                FoundBearings(
                    drive.azimuth_deg[now],
                    columns @ weights[number % 2][:2] + weights[number % 2][2],
                ),
                drive.true[now],
            )
            for now, columns in scored
        ]
        for number, (drive, scored) in enumerate(zip(drives, inputs, strict=True))
    ]
    return match_bearings(windows, 3.0)


def _weights(rows: np.ndarray) -> np.ndarray:
    """Fit a logistic regression to (N, 3), two inputs and target: two weights and a constant."""
    inputs = np.column_stack([rows[:, :2], np.ones(len(rows))])
    right = rows[:, 2]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = inputs @ weights
        slope = inputs.T @ (1 / (1 + np.exp(-logits)) - right)
        # A slight pull towards 0, since the two inputs may be identical.
        pull = weights * [1, 1, 0]
        value = (np.logaddexp(0, logits) - right * logits).sum() + pull @ weights / 2
        return float(value), slope + pull

    return np.asarray(minimize(loss, np.zeros(3), jac=True, method='L-BFGS-B').x)


def known_before(drives: list[DrivePredictions]) -> float:
    """Return the share of faint labels whose vehicle was a label a second before."""
    known = []
    for drive in drives:
        for now in range(SCORED_FROM, len(drive.true)):
            faint = drive.true[now].level_db < FAINT_DB
            before = drive.ids[now - round(1 / HOP_S)]
            known.append(np.isin(drive.ids[now][faint], before))
    return float(np.concatenate(known).mean())


def gains(
    before: MatchedBearings, after: MatchedBearings, draws: int = 400
) -> tuple[np.ndarray, np.ndarray]:
    """Return the central 95 per cent of the gains in AP and recall, by a bootstrap over drives."""
    rng, count = np.random.default_rng(0), len(before.windows)
    differences = np.array(
        [
            np.subtract(_drawn(after, times), _drawn(before, times))
            for times in rng.multinomial(count, np.full(count, 1 / count), size=draws)
        ]
    )
    low, high = np.percentile(differences, [2.5, 97.5], axis=0)
    return np.array([low[0], high[0]]), np.array([low[1], high[1]])


def _drawn(matched: MatchedBearings, times: np.ndarray) -> tuple[float, float]:
    """Return AP and recall with each drive counted the given number of times."""
    rows = np.repeat(np.arange(len(matched.scores)), times[matched.found_drive])
    drawn = replace(
        matched,
        scores=matched.scores[rows],
        # The label's number does not matter, since all labels count.
        label=np.where(matched.hit[rows], 0, -1),
        error_deg=matched.error_deg[rows],
        range_m=matched.range_m[rows],
        found_drive=np.zeros(len(rows), np.int64),
        label_drive=np.zeros(int(times[matched.label_drive].sum()), np.int64),
        windows=np.array([int(times @ matched.windows)]),
    )
    return average_precision(drawn), recall_at(drawn, operating_point(drawn))


def main(store: Path, count: int) -> None:
    """Print the table."""
    rig, drives = load_rig(), []
    store.mkdir(parents=True, exist_ok=True)
    with progress_bars().step('drives', count) as advance:
        for seed in range(FIRST_SEED, FIRST_SEED + count):
            path = store / f'{seed}.npz'
            if not path.exists():
                predict_drive(seed, rig, path)
            drives.append(read_found(path, rig))
            advance()
    alone = rescored(drives, None)
    print(f'{count} drives, {alone.windows.sum()} windows, {len(alone.label_drive)} labels')
    print(f'of labels below {FAINT_DB} dB, {known_before(drives):.2f} were labels a second before')
    print('| | AP, 3° | gain | recall, 3° | gain | ' + ' | '.join(LEVELS) + ' |')
    print('|---|--:|--:|--:|--:' + '|--:' * len(LEVELS) + '|')
    for name, memory in MEMORIES.items():
        matched = rescored(drives, memory)
        point = operating_point(matched)
        numbers = [average_precision(matched), recall_at(matched, point)]
        words = [
            '-' if memory is None else f'{a:+.3f} to {b:+.3f}' for a, b in gains(alone, matched)
        ]
        levels = [
            recall_at(matched, point, (matched.level_db >= low) & (matched.level_db < high))
            for low, high in LEVELS.values()
        ]
        cells = [f'{numbers[0]:.3f}', words[0], f'{numbers[1]:.3f}', words[1]]
        cells += [f'{level:.2f}' for level in levels]
        print(f'| {name} | ' + ' | '.join(cells).replace('0.', '.') + ' |', flush=True)


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 92)
