"""Tables of docs/tracks.md and docs/trackers.md: tracks in metres, all trackers in the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import numpy as np

from avdet_ros.evaluation.ground.drives import GroundDrive
from avdet_ros.evaluation.ground.scores import (
    AGES_S,
    distance_rows,
    ground_errors,
    road_rows,
    row,
    size_errors,
)
from avdet_ros.evaluation.tracks.metrics import combine, drive_scores
from avdet_ros.evaluation.tracks.public_trackers import PublicByteTrack
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.tracking import GroundTracker, Track, Tracker, make_tracker

TRACKERS: dict[str, Callable[[float, Rig], Tracker]] = {
    'IoU, tuned': lambda rate_hz, rig: make_tracker('iou'),
    'motion, tuned': lambda rate_hz, rig: make_tracker('motion'),
    'ByteTrack (trackers), tuned': lambda rate_hz, rig: PublicByteTrack(
        rate_hz, new_track_threshold=0.3, iou_threshold=0.1, coast_s=0.3
    ),
    'ground': lambda rate_hz, rig: GroundTracker(rig),
}
"""Trackers by name, with the parameters of docs/trackers.md, chosen on validation drives."""

RATES_HZ = (5, 10, 20)

_METRES_HZ = 10


def every_in_metres(rate_hz: float) -> int:
    """Return the step between windows that gives 10 a second, or all if the rate has none."""
    return round(rate_hz / _METRES_HZ) if rate_hz % _METRES_HZ == 0 else 1


def metres_table(
    drives: Sequence[GroundDrive], models: Sequence[str], rig: Rig, progress: Progress = SILENT
) -> str:
    """Tabulate the errors in metres and the coverage of the ellipses, as Markdown."""
    kinds: list[tuple[str, str, bool]] = []
    for model in models:
        kinds.append((f'{model}, odometry', model, True))
        kinds.append((f'{model}, none', model, False))
    ages = ''.join(f' range, {age:g} s |' for age in AGES_S)
    every = every_in_metres(round(drives[0].rate_hz))
    lines = [
        f'| model, ego motion | in ellipse | heard / not | bearing |{ages} velocity | n / alone |',
        '|---|---|---|---|' + '---|' * len(AGES_S) + '---|---|',
    ]
    errors = []
    with progress.step('tracks in metres', len(kinds)) as advance:
        for name, model, odometry in kinds:
            errors.append(ground_errors(drives, model, rig, every, odometry))
            lines.append(_line(row(name, errors[-1])))
            advance()
    first = errors[0]
    lines += [
        '',
        f'Range errors of {models[0]} with odometry by distance:',
        '',
        '| distance | track under 1 s | 1 to 3 s | over 3 s | bias |',
        '|---|---|---|---|---|',
        *map(_line, distance_rows(first)),
        '',
        f'Ellipses of {models[0]} with odometry by the kind of road:',
        '',
        '| road | drives | in ellipse | heard / not | n |',
        '|---|---|---|---|---|',
        *map(_line, road_rows(first, [drive.setting for drive in drives])),
    ]
    for model in models:
        if all(each.range_m is None for each in drives[0].detections[model]):
            log_errors = size_errors(drives, model, rig, every)
            error = math.sqrt(np.mean(log_errors**2)) if len(log_errors) else math.nan
            text = f'Ranges by the size of the boxes of {model} are off by {error:.2f} in the'
            lines += ['', f'{text} logarithm (root mean square, {len(log_errors)} detections).']
    return '\n'.join(lines)


def _line(cells: Sequence[str]) -> str:
    """Make a line of a Markdown table."""
    return '| ' + ' | '.join(cells) + ' |'


def image_table(
    drives: Sequence[GroundDrive], models: Sequence[str], rig: Rig, progress: Progress = SILENT
) -> str:
    """Compare all trackers in the image on the same detections, at each rate the drives allow."""
    fastest = round(drives[0].rate_hz)
    rates = [rate for rate in RATES_HZ if fastest % rate == 0]
    lines = [
        '| windows a second | detections of | tracker | MOTA | IDF1 | HOTA | switches |',
        '|---|---|---|---|---|---|---|',
    ]
    with progress.step('trackers', len(rates) * len(models) * len(TRACKERS)) as advance:
        for rate in rates:
            for model in models:
                for name, make in TRACKERS.items():
                    tracker = make(rate, rig)
                    scores = [
                        drive_scores(
                            drive.truth[:: fastest // rate],
                            track_in_image(drive, model, tracker, rig, fastest // rate),
                        )
                        for drive in drives
                    ]
                    m = combine(scores)
                    lines.append(
                        f'| {rate} | {model} | {name} | {m.mota:.3f} | {m.idf1:.3f} | '
                        f'{m.hota:.3f} | {m.switches} |'
                    )
                    advance()
    return '\n'.join(lines)


def track_in_image(
    drive: GroundDrive, model: str, tracker: Tracker, rig: Rig, every: int
) -> list[list[Track]]:
    """Return the tracks of each window, with boxes in the image."""
    tracker.reset()
    found = []
    for step in range(0, len(drive.stamps_s), every):
        stamp_s = float(drive.stamps_s[step])
        if isinstance(tracker, GroundTracker):
            found.append(tracker.update(stamp_s, drive.detections[model][step], drive.ego[step]))
        else:
            found.append(tracker.update(stamp_s, drive.in_image[model][step]))
    return found
