"""Measure what a higher start score of tracker `motion` costs, and which false tracks it avoids.

    python tools/start_scores.py STORE [MODEL ...]

Runs both shipped models, or the given ones, on validation drives of 10 s, ten windows per second:
empty roads with one other sound in view, 10 dB above all other sound (seeds from 130000); and
traffic, plain with a kept array (from 131000) and furnished with an array without errors (from
132000). Their sound is kept in the folder STORE, so an interrupted run continues. A label is
followed if a track's bearing is within 3 degrees of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import sys

import numpy as np

from avdet_ros.cli.console import progress_bars
from avdet_ros.detection.contract import LABEL_OFFSET_S
from avdet_ros.evaluation.bearing_study.on_windows import WindowPlan, run_windows
from avdet_ros.evaluation.bearings.of_boxes import box_azimuth_deg
from avdet_ros.evaluation.runs.record import DriveRecord
from avdet_ros.evaluation.runs.window_store import Cut, WindowSetting, WindowStore
from avdet_ros.evaluation.tracks.study import run_tracker
from avdet_ros.paths import found_or_shipped
from avdet_ros.progress import Progress
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.conditions import Condition
from avdet_ros.tracking import Track, Tracker, make_tracker

OTHER, PLAIN, FURNISHED = 'other10', 'traffic-plain', 'traffic-furnished'

SETS = {
    OTHER: (Condition('plain', 'kept', empty=True, other_db=10.0), 130_000, 22),
    PLAIN: (Condition('plain', 'kept'), 131_000, 8),
    FURNISHED: (Condition('furnished', 'ideal'), 132_000, 5),
}
"""Condition, first seed and number of drives."""

CUT = Cut(windows=0, seconds=10.0, rate_hz=10.0)

MODELS = ('models/student.onnx', 'models/octagon.onnx')

SETTINGS = ((0.3, 0.1), (0.4, 0.1), (0.5, 0.1), (0.6, 0.1), (0.7, 0.1), (0.4, 0.3), (0.4, 0.5))
"""Start score, and the time that a track's detections must span before it is reported, s."""

NEAR_DEG = 3.0

STORE_BYTES = 1 << 30


def records_of(
    store: Path, name: str, models: dict[str, Path], progress: Progress
) -> list[DriveRecord]:
    """Return the models' predictions on the drives of a set."""
    condition, first, count = SETS[name]
    seeds = tuple(range(first, first + count))
    setting = WindowSetting(condition, CUT)
    kept, _ = WindowStore(store, setting, load_rig()).prepare(list(seeds), STORE_BYTES)
    plan = WindowPlan(setting, seeds, models, LABEL_OFFSET_S, cache=store, kept=kept)
    return [found.record for found in run_windows(plan, 1, progress, name)]


def false_tracks(records: Sequence[DriveRecord], model: str, tracker: Tracker) -> int:
    """Count the tracks on drives without vehicles."""
    return sum(
        len({track.track_id for frame in record.track(model, tracker) for track in frame})
        for record in records
    )


def followed(
    records: Sequence[DriveRecord], model: str, tracker: Tracker, rig: Rig
) -> tuple[float, float]:
    """Return the share of labels with a track near them, and of vehicles that ever have one."""
    labels = near = vehicles = found = 0
    for record in records:
        there: set[int] = set()
        seen: set[int] = set()
        for frame, truth in zip(record.track(model, tracker), record.truth, strict=True):
            apart = np.abs(
                _azimuth_deg(frame, rig)[:, None] - box_azimuth_deg(truth.boxes_px, rig)
            )
            hit = (apart < NEAR_DEG).any(axis=0)
            labels += len(hit)
            near += int(hit.sum())
            there |= set(truth.ids.tolist())
            seen |= set(truth.ids[hit].tolist())
        vehicles += len(there)
        found += len(seen)
    return near / labels, found / vehicles


def _azimuth_deg(frame: Sequence[Track], rig: Rig) -> np.ndarray:
    return box_azimuth_deg(np.array([track.box_px for track in frame]).reshape(-1, 4), rig)


def _name(path: Path) -> str:
    """Return a shipped file's name; with the folder for runs, whose files share one name."""
    folder = path.parent.name
    return path.stem if folder == 'models' else f'{folder}/{path.stem}'


def main(store: Path, files: Sequence[str]) -> None:
    """Print the table."""
    rig = load_rig()
    paths = [found_or_shipped(file) for file in files or MODELS]
    models = {_name(path): path for path in paths}
    records = {name: records_of(store, name, models, progress_bars()) for name in SETS}
    minutes = sum(len(record.truth) for record in records[OTHER]) / CUT.rate_hz / 60
    print(
        '| | `start_score` | reported after | false tracks a minute | plain: labels followed '
        '| vehicles | HOTA | furnished: labels followed | vehicles | HOTA |'
    )
    print('|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|')
    for model in models:
        for score, confirm_s in SETTINGS:
            tracker = make_tracker('motion', rig, new_track_threshold=score, confirm_s=confirm_s)
            wrong = false_tracks(records[OTHER], model, tracker)
            cells = [
                f'{score:g}',
                f'{confirm_s:g} s',
                f'{wrong / minutes:.1f} ({wrong} in {minutes:.1f})',
            ]
            for name in (PLAIN, FURNISHED):
                hota = run_tracker(records[name], model, tracker).hota
                shares = (*followed(records[name], model, tracker, rig), hota)
                cells += [f'{value:.3f}'.replace('0.', '.') for value in shares]
            name = model if (score, confirm_s) == SETTINGS[0] else ''
            print(f'| {name} | ' + ' | '.join(cells) + ' |')


if __name__ == '__main__':
    main(Path(sys.argv[1]), sys.argv[2:])
