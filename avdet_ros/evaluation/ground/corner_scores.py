"""Is a vehicle behind a corner reported on the right side, and how long before it is in sight?

The content of topic `hidden` at each window's end is compared with the vehicle that is about to
come out. A side is left or right of the camera's heading. The three answers of Schulz et al.
(2021, "Hearing What You Cannot See"), left, right and none, are read a second before sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from avdet_ros.evaluation.bearings.early_vehicles import HIDDEN
from avdet_ros.evaluation.ground.corner_drives import CornerCase, map_of
from avdet_ros.evaluation.ground.drives import GroundDrive
from avdet_ros.progress import Progress
from avdet_ros.rig import Rig
from avdet_ros.tracking import GroundTracker
from avdet_ros.tracking.around_corner import Sight, hidden_sights, look

LEADS_S = (2.0, 1.5, 1.0, 0.5, 0.0)
"""Times before sight at which the reported sides are checked."""

AHEAD_S = 0.5
"""Time from the instant of the boxes to the window's end, for which the topic holds."""

_LEAST_SIDE_RAD = math.radians(4.0)
_NEAR_M = 70.0


@dataclass(frozen=True)
class CornerResult:
    """The answers to one case.

    Attributes:
        side: true side of the vehicle, 1 left, -1 right.
        before_s: (W,) how long before sight each window ends.
        answers: (W,) side of the likeliest hidden vehicle, 0 for none.
        right: (W,) bool, whether a hidden vehicle is reported on the true side.
        other: (W,) bool, whether one is reported on the other side although there is none.
        sight_s: (W,) reported time to sight, -1 where none is reported.
    """

    side: int
    before_s: np.ndarray
    answers: np.ndarray
    right: np.ndarray
    other: np.ndarray
    sight_s: np.ndarray

    def at(self, lead_s: float) -> int:
        """Return the index of the last window that ends at least `lead_s` before sight."""
        early = np.flatnonzero(self.before_s >= lead_s - 1e-6)
        return int(early[np.argmin(self.before_s[early])])


def run_case(case: CornerCase, model: str, rig: Rig, with_map: bool) -> CornerResult:
    """Track a case and collect what topic `hidden` would report.

    Args:
        case: see `CornerCase`.
        model: name of the model whose detections are tracked.
        rig: array and camera.
        with_map: whether the tracker has a map of the buildings.
    """
    drive, tracker = case.windows, GroundTracker(rig)
    later = round(AHEAD_S * drive.rate_hz)
    middle = drive.ego[-1]
    cells = map_of(case.scene.buildings, np.array([middle.x_m, middle.y_m])) if with_map else None
    row = int(np.flatnonzero(drive.ids == case.appearance.identity)[0])
    lists: list[list[float]] = []
    for step, stamp_s in enumerate(drive.stamps_s):
        tracker.update(float(stamp_s), drive.detections[model][step], drive.ego[step])
        ego_ahead = drive.ego[step + later]
        sights = hidden_sights(
            look(tracker.vehicles(AHEAD_S, ego_ahead), rig.camera, cells, ego_ahead)
        )
        sides = _sides(sights, rig)
        true = side_of(drive.places_m[row, step + later], rig)
        wrong_side = -true in [side for side, _ in sides] and not _others(drive, step, -true, rig)
        times_s = [sight.sight_s for side, sight in sides if side == true]
        lists.append(
            [
                case.appearance.seen_s - stamp_s - AHEAD_S,
                sides[0][0] if sides else 0,
                true in [side for side, _ in sides],
                wrong_side,
                times_s[0] if times_s else -1.0,
                true,
            ]
        )
    values = np.array(lists)
    early = values[values[:, 0] >= 0, 5]
    return CornerResult(
        side=int(early[-1]),
        before_s=values[:, 0],
        answers=values[:, 1].astype(int),
        right=values[:, 2] > 0,
        other=values[:, 3] > 0,
        sight_s=values[:, 4],
    )


def side_of(place_m: np.ndarray, rig: Rig) -> int:
    """Return 1 if a place in base_link is left of the camera's heading, -1 if right of it."""
    ahead, left, _ = rig.camera.rotation[2]
    x, y = np.asarray(place_m) - rig.camera.position_m[:2]
    return 1 if ahead * y - left * x > 0 else -1


def _sides(sights: list[Sight], rig: Rig) -> list[tuple[int, Sight]]:
    """Return the side of each hidden vehicle far enough from the heading, likeliest first."""
    ahead, left, _ = rig.camera.rotation[2]
    heading = math.atan2(left, ahead)
    return [
        (side_of(sight.track.position_m, rig), sight)
        for sight in sights
        if abs(sight.track.bearing_rad - heading) >= _LEAST_SIDE_RAD
    ]


def _others(drive: GroundDrive, step: int, side: int, rig: Rig) -> bool:
    """Return whether a vehicle that the camera does not see is audible on a side."""
    near = drive.audible[:, step] & (np.hypot(*drive.places_m[:, step].T) < _NEAR_M)
    rows = np.flatnonzero(near & (drive.visible[:, step] < HIDDEN))
    return any(side_of(drive.places_m[row, step], rig) == side for row in rows)


HEAD = (
    '| ego vehicle, model, map | vehicles |'
    + ''.join(f' {lead_s:g} s before |' for lead_s in LEADS_S)
    + ' side right | wrong side | time to sight off by |\n|---|'
    + '--:|' * (len(LEADS_S) + 4)
)
"""Head of the table whose lines `row` makes."""


def table(
    cases: Sequence[CornerCase], kind: str, models: Sequence[str], rig: Rig, progress: Progress
) -> list[str]:
    """Make the lines of the table: each model without and with a map.

    Args:
        cases: cases of one kind.
        kind: ``standing`` or ``driving``.
        models: names of the models whose detections are tracked.
        rig: array and camera.
        progress: shows how many lines are done.
    """
    lines = []
    with progress.step(f'topic hidden, {kind}', 2 * len(models)) as advance:
        for model in models:
            for with_map in (False, True):
                results = [run_case(case, model, rig, with_map) for case in cases]
                name = f'{kind}, {model}, {"map" if with_map else "none"}'
                lines.append('| ' + ' | '.join(row(name, results)) + ' |')
                advance()
    return lines


def row(name: str, results: Sequence[CornerResult]) -> list[str]:
    """Make one line of the table."""
    count = len(results)
    cells = [name, str(count)]
    for lead_s in LEADS_S:
        right = np.mean([result.right[result.at(lead_s)] for result in results])
        cells.append(f'{right:.2f}')
    answered = [result for result in results if result.answers[result.at(1.0)] != 0]
    correct = [result.answers[result.at(1.0)] == result.side for result in answered]
    cells.append(f'{np.mean(correct):.2f} of {len(answered)}' if answered else '-')
    windows = np.concatenate([result.other[result.before_s >= 0] for result in results])
    cells.append(f'{windows.mean():.2f}')
    errors_s = [
        abs(result.sight_s[i] - result.before_s[i])
        for result in results
        for i in np.flatnonzero((result.before_s >= 0.3) & (result.sight_s >= 0) & result.right)
    ]
    cells.append(f'{np.median(errors_s):.1f} s ({len(errors_s)})' if errors_s else '-')
    return cells
