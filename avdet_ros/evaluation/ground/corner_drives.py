"""Detections and truth of the seconds before a vehicle comes out from behind a corner.

A case is one vehicle that comes into the camera's sight at a junction with buildings, see
`bearings.early_vehicles`. The ego vehicle stands at the junction, or drives up to it. Only the
seconds before the appearance are rendered. Detections and truth are cached on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from avdet_ros.audio.window import HOP_S
from avdet_ros.detection.session import Detector
from avdet_ros.evaluation.bearings.early_vehicles import Appearance, appearances
from avdet_ros.evaluation.ground.drives import (
    MIN_SCORE,
    MOST,
    GroundDrive,
    read_ground_drive,
    with_truth,
    write_ground_drive,
)
from avdet_ros.evaluation.runs.detectors import common_front_end
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.simulation.blind_corners import drive_up
from avdet_ros.simulation.buildings import Building
from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.scene import Scene
from avdet_ros.tracking.cells import Cells, make_cells
from avdet_ros.tracking.ego_motion import PlanarPose

BEFORE_S, AFTER_S = 4.5, 0.6
"""Range of window ends before and after the moment when the camera first sees the vehicle."""

RATE_HZ = 1 / HOP_S

MOST_A_DRIVE = 2
"""Maximum number of vehicles from one drive: more would be too similar."""

CELL_M = 0.25

_SECONDS = 20.0
_MOST_SCENES = 3_000
_MAP_M = 80.0


@dataclass(frozen=True, eq=False)
class CornerCase:
    """One vehicle that comes into sight.

    Attributes:
        scene: the drive.
        appearance: which vehicle, and when it is first seen.
        windows: detections and truth of the seconds before it is seen.
    """

    scene: Scene
    appearance: Appearance
    windows: GroundDrive


def find_cases(
    condition: Condition,
    rig: Rig,
    first: int,
    count: int,
    driving: bool,
    progress: Progress = SILENT,
) -> list[tuple[Scene, Appearance]]:
    """Find vehicles that come out from behind corners.

    Args:
        condition: a furnished world.
        rig: contents of the rig file.
        first: seed where the search begins.
        count: number of vehicles wanted; fewer are returned if the search finds fewer.
        driving: whether the ego vehicle drives.
        progress: shows how many vehicles are found.
    """
    found: list[tuple[Scene, Appearance]] = []
    with progress.step('looking for blind corners', count) as advance:
        for seed in range(first, first + _MOST_SCENES):
            if len(found) >= count:
                break
            scene = condition.scene(seed, rig, _SECONDS)
            if not scene.buildings:
                continue
            changed = drive_up(scene) if driving else scene
            if changed is None:
                continue
            for case in appearances(changed)[:MOST_A_DRIVE]:
                if case.seen_s >= BEFORE_S + 1.0 and len(found) < count:
                    found.append((changed, case))
                    advance()
    return found


def corner_cases(
    found: list[tuple[Scene, Appearance]],
    detectors: dict[str, Detector],
    folder: Path,
    driving: bool,
    progress: Progress = SILENT,
) -> list[CornerCase]:
    """Load the detections before vehicles come into sight; render cases missing on disk.

    Args:
        found: result of `find_cases`.
        detectors: loaded models by name.
        folder: where the cases are stored.
        driving: as for `find_cases`.
        progress: shows how many cases are ready.

    Raises:
        AvdetError: the folder cannot be written.
    """
    digests = '-'.join(detectors[name].sha256[:8] for name in sorted(detectors))
    kind = 'driving' if driving else 'standing'
    cases = []
    with progress.step(f'corners, {kind}', len(found)) as advance:
        for scene, appearance in found:
            array = scene.corruption.array_yaw_deg
            path = folder / (
                f'corner_{kind}_{scene.seed}_{appearance.identity}_{array:.3f}_{digests}.npz'
            )
            try:
                windows = read_ground_drive(path, scene.seed)
            except (OSError, ValueError, KeyError, BadZipFile):
                windows = _run(scene, appearance, detectors)
                write_ground_drive(path, windows)
            cases.append(CornerCase(scene, appearance, windows))
            advance()
    return cases


def _run(scene: Scene, appearance: Appearance, detectors: dict[str, Detector]) -> GroundDrive:
    """Render the seconds before an appearance and run every detector over the windows."""
    from avdet_ros.simulation.sound import SoundRenderer

    front_end, renderer = common_front_end(detectors), SoundRenderer(scene)
    rate, hop = front_end.sample_rate_hz, 1 / RATE_HZ
    ends_s = np.arange(
        appearance.seen_s - BEFORE_S,
        min(appearance.seen_s + AFTER_S, scene.duration_s) + 1e-6,
        hop,
    )
    found: dict[str, list[Any]] = {name: [] for name in detectors}
    for end_s in ends_s:
        first = round(end_s * rate) - front_end.samples
        sound = renderer.read(first, front_end.samples)
        spectrogram = front_end.compute(np.ascontiguousarray(sound, np.float32))
        for name, detector in detectors.items():
            found[name].append(
                detector.detect(spectrogram, beyond_image=True).best(MIN_SCORE, MOST)
            )
    offset_s = next(iter(detectors.values())).contract.label_offset_s
    return with_truth(scene, scene.seed, ends_s + offset_s, RATE_HZ, found)


def map_of(buildings: tuple[Building, ...], around_m: np.ndarray) -> Cells:
    """Make the map of a junction with buildings, in the drive's world frame.

    Args:
        buildings: buildings of the drive.
        around_m: (2,) centre of the map.
    """
    side = round(2 * _MAP_M / CELL_M)
    corner = np.asarray(around_m, np.float64) - _MAP_M
    steps = (np.arange(side) + 0.5) * CELL_M
    x, y = np.meshgrid(corner[0] + steps, corner[1] + steps)
    percent = np.zeros((side, side), np.int8)
    for building in buildings:
        inside = np.ones((side, side), bool)
        ends = np.roll(building.corners_m, -1, axis=0)
        for (ax, ay), (bx, by) in zip(building.corners_m, ends, strict=True):
            inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
        percent[inside] = 100
    return make_cells(percent, CELL_M, PlanarPose(float(corner[0]), float(corner[1]), 0.0))
