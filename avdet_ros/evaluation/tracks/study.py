"""Comparison of trackers on the same detections, at several rates.

Every tracker's parameters are chosen the same way, by the best HOTA on validation drives. Then all
are scored once on the test drives. The paper's thresholds have a separate row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from avdet_ros.evaluation.reports.page_section import marks
from avdet_ros.evaluation.runs.record import DriveRecord
from avdet_ros.evaluation.tracks.metrics import TrackMetrics, combine, drive_scores
from avdet_ros.evaluation.tracks.public_trackers import PublicByteTrack
from avdet_ros.progress import SILENT, Progress
from avdet_ros.tracking import IouTracker, MotionTracker, Tracker

RATES_HZ = (5, 10, 20)

_SCORES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


@dataclass(frozen=True)
class Contender:
    """A tracker and the parameters to choose from.

    Attributes:
        name: name in the table.
        make: makes a tracker from the rate in windows a second and parameters.
        choices: values to try for each parameter; none for fixed parameters.
    """

    name: str
    make: Callable[..., Tracker]
    choices: dict[str, tuple[float, ...]]


CONTENDERS = (
    Contender('IoU, as in the paper', lambda rate_hz, **p: IouTracker(**p), {}),
    Contender(
        'IoU, tuned',
        lambda rate_hz, **p: IouTracker(**p),
        {'new_track_threshold': _SCORES, 'iou_threshold': (0.1, 0.2, 0.3, 0.4, 0.5)},
    ),
    Contender(
        'motion, tuned',
        lambda rate_hz, **p: MotionTracker(**p),
        {
            'new_track_threshold': _SCORES,
            'iou_threshold': (0.05, 0.1, 0.2, 0.3),
            'coast_s': (0.0, 0.3, 0.6, 1.0),
        },
    ),
    Contender('ByteTrack (trackers), as shipped', PublicByteTrack, {}),
    Contender(
        'ByteTrack (trackers), tuned',
        PublicByteTrack,
        {
            'new_track_threshold': _SCORES,
            'iou_threshold': (0.05, 0.1, 0.2, 0.3),
            'coast_s': (0.3, 1.0),
        },
    ),
)


@dataclass(frozen=True)
class Outcome:
    """One tracker's scores.

    Attributes:
        name: name of the contender.
        parameters: parameters chosen on validation drives.
        metrics: metrics on the test drives, by rate.
    """

    name: str
    parameters: dict[str, float]
    metrics: dict[int, TrackMetrics]

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for JSON."""
        return {
            'tracker': self.name,
            'parameters': self.parameters,
            'metrics': {str(rate): asdict(metrics) for rate, metrics in self.metrics.items()},
        }


def run_tracker(records: Sequence[DriveRecord], detector: str, tracker: Tracker) -> TrackMetrics:
    """Score one tracker on one detector's boxes."""
    return combine(
        [drive_scores(record.truth, record.track(detector, tracker)) for record in records]
    )


def choose(
    records: Sequence[DriveRecord], detector: str, contender: Contender, rate_hz: int
) -> dict[str, float]:
    """Return the parameters with the best HOTA on these drives; of equals, the first."""
    best, best_hota = {}, -1.0
    for values in product(*contender.choices.values()):
        parameters = dict(zip(contender.choices, values, strict=True))
        if parameters.get('high_threshold', 0) > parameters.get('new_track_threshold', 1):
            continue
        hota = run_tracker(records, detector, contender.make(rate_hz=rate_hz, **parameters)).hota
        if hota > best_hota:
            best, best_hota = parameters, hota
    return best


def study(
    validation: Sequence[DriveRecord],
    test: Sequence[DriveRecord],
    detector: str,
    fastest_hz: int,
    progress: Progress = SILENT,
) -> list[Outcome]:
    """Choose every contender's parameters at 10 Hz on validation drives, score on test drives.

    Args:
        validation: drives to choose on.
        test: drives to score on.
        detector: name of the detector whose boxes are linked.
        fastest_hz: windows a second in the records, a multiple of all `RATES_HZ`.
        progress: shows how many contenders are done.
    """
    outcomes = []
    tenth = [record.every(fastest_hz // 10) for record in validation]
    with progress.step('trackers', len(CONTENDERS)) as advance:
        for contender in CONTENDERS:
            parameters = choose(tenth, detector, contender, 10)
            metrics = {}
            for rate_hz in RATES_HZ:
                records = [record.every(fastest_hz // rate_hz) for record in test]
                tracker = contender.make(rate_hz=rate_hz, **parameters)
                metrics[rate_hz] = run_tracker(records, detector, tracker)
            outcomes.append(Outcome(contender.name, parameters, metrics))
            advance()
    return outcomes


def markdown(outcomes: Sequence[Outcome], command: str, description: str) -> str:
    """Format the study as a page of documentation."""
    lines = [
        '# Trackers, measured',
        '',
        description,
        '',
        'Parameters are chosen by the best HOTA at 10 Hz on validation drives. Made by:',
        '',
        f'    {command}',
        '',
    ]
    for rate_hz in RATES_HZ:
        lines += [
            f'## {rate_hz} windows a second',
            '',
            '| tracker | MOTA | IDF1 | HOTA | switches | fragmentations | FP | FN |',
            '|---|---|---|---|---|---|---|---|',
        ]
        for outcome in outcomes:
            m = outcome.metrics[rate_hz]
            lines.append(
                f'| {outcome.name} | {m.mota:.3f} | {m.idf1:.3f} | {m.hota:.3f} | {m.switches} | '
                f'{m.fragmentations} | {m.false_positives} | {m.false_negatives} |'
            )
        lines.append('')
    lines += ['## Parameters', '']
    for outcome in outcomes:
        values = ', '.join(f'{key} {value:g}' for key, value in outcome.parameters.items())
        lines.append(f'- {outcome.name}: {values or "defaults"}')
    lines += [
        '',
        '## All trackers on the same detections',
        '',
        'Trackers in the image and the one on the ground plane, whose errors in metres are in',
        '[tracks.md](tracks.md), on detections with the scores that node detector publishes.',
        '',
        marks('all trackers'),
    ]
    return '\n'.join(lines) + '\n'
