"""Vehicles that come from behind a corner: are they found before the camera sees them?

On junction drives with buildings, each vehicle that comes into sight after being hidden is one
case. It is found early if a window that ends between `LOOK_BACK_S` and `EARLY_S` before that
moment has a bearing on the vehicle's side that no vehicle in view explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.bearings.metrics import difference_deg
from avdet_ros.evaluation.bearings.of_boxes import WindowRecord, box_azimuth_deg
from avdet_ros.evaluation.runs.window_store import Cut
from avdet_ros.rig import Rig
from avdet_ros.simulation.buildings import length_in_sight, stacked
from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.truth import LABEL_DISTANCE_M

EARLY_CUT = Cut(windows=0, seconds=20.0, rate_hz=5.0)
EARLY_S = 1.5
"""How long before it is seen a vehicle must be found."""

LOOK_BACK_S = 4.0
"""Bearings from further back do not count."""

SEEN, HIDDEN = 0.3, 0.05
"""Visible shares of a vehicle: it is seen from the first on and hidden below the second."""

LEAST_SIDE_DEG = 4.0
"""Bearings closer than this to the heading count for neither side."""

EXPLAINED_DEG = 8.0
"""A bearing this close to a vehicle in view is explained by it."""

_STEP_S = 0.2
_MOST_SCENES = 2_000


@dataclass(frozen=True)
class Appearance:
    """One vehicle that comes into sight.

    Attributes:
        identity: identity of the vehicle.
        seen_s: when the camera first sees it, drive time.
    """

    identity: int
    seen_s: float


@dataclass(frozen=True, eq=False)
class CornerDrive:
    """A drive on which vehicles come into sight.

    Attributes:
        scene: the drive.
        cases: the vehicles that come into sight, at least one.
    """

    scene: Scene
    cases: list[Appearance]


def corner_drives(condition: Condition, rig: Rig, first: int, count: int) -> list[CornerDrive]:
    """Find drives at junctions with buildings on which vehicles come into sight.

    Args:
        condition: a furnished world.
        rig: contents of the rig file.
        first: seed where the search begins.
        count: number of drives wanted; fewer are returned if the search finds fewer.
    """
    found: list[CornerDrive] = []
    for seed in range(first, first + _MOST_SCENES):
        if len(found) == count:
            break
        scene = condition.scene(seed, rig, EARLY_CUT.duration_s)
        cases = appearances(scene) if scene.buildings else []
        if cases:
            found.append(CornerDrive(scene, cases))
    return found


def appearances(scene: Scene) -> list[Appearance]:
    """Find vehicles that come into the camera's sight.

    From `LOOK_BACK_S` to `EARLY_S` before that moment the camera does not see them. At `EARLY_S`
    before it they are audible and behind a building.
    """
    times = np.arange(1.0, scene.duration_s + 1e-6, _STEP_S)
    visible = {vehicle.vehicle_id: np.zeros(len(times)) for vehicle in scene.vehicles}
    audible = {identity: np.zeros(len(times), bool) for identity in visible}
    for index, t_s in enumerate(times):
        truth = scene.truth(float(t_s))
        near = truth.distance_m <= LABEL_DISTANCE_M
        for row in np.flatnonzero(near):
            visible[int(truth.ids[row])][index] = truth.visible_fraction[row]
            audible[int(truth.ids[row])][index] = truth.audible[row]
    back, early = round(LOOK_BACK_S / _STEP_S), round(EARLY_S / _STEP_S)
    found = []
    for identity, share in visible.items():
        seen_steps = np.flatnonzero(share >= SEEN)
        if not len(seen_steps) or seen_steps[0] < back:
            continue
        first = int(seen_steps[0])
        # In the last moments the vehicle is already coming out of cover: no need to be hidden.
        hidden = (share[first - back : first - early + 1] < HIDDEN).all()
        behind_corner = behind_building(scene, identity, float(times[first - early]))
        if hidden and audible[identity][first - early] and behind_corner:
            found.append(Appearance(identity, float(times[first])))
    return found


def behind_building(scene: Scene, identity: int, t_s: float) -> bool:
    """Return whether a building, and not only the edge of the image, hides a vehicle."""
    vehicle = next(v for v in scene.vehicles if v.vehicle_id == identity)
    place, turn = vehicle.pose(t_s)
    position, rotation = scene.ego_pose(t_s)
    eye = position + rotation @ scene.rig.camera.position_m
    every = stacked(scene.buildings)
    return length_in_sight(every, eye, place, turn[:, 0], vehicle.length_m) < HIDDEN


def early_scores(
    windows: Sequence[WindowRecord],
    drives: Sequence[CornerDrive],
    detector: str,
    threshold: float,
    offset_s: float,
) -> dict[str, Any]:
    """Compute how many vehicles are found early.

    Args:
        windows: windows of the drives, by `EARLY_CUT`.
        drives: see `corner_drives`.
        detector: name of the detector in the records.
        threshold: bearings with this score or a better one count.
        offset_s: instant of the boxes relative to a window's end.

    Returns:
        ``vehicles``, the number that came into sight; ``found``, the share found early on their
        side; ``wrong_side``, the share with such a bearing on the other side: the chance level.
    """
    found = wrong = vehicles = 0
    for window_record, drive in zip(windows, drives, strict=True):
        scene = drive.scene
        ends_s = np.array(window_record.record.stamps_s) - offset_s
        for appearance in drive.cases:
            vehicles += 1
            before_s = appearance.seen_s - ends_s
            sides = set()
            for index in np.flatnonzero((before_s >= EARLY_S) & (before_s <= LOOK_BACK_S)):
                stamp_s = window_record.record.stamps_s[index]
                side = _side(scene, window_record.rig, appearance.identity, stamp_s)
                bearings = _unexplained(
                    window_record.record.detections[detector][index],
                    threshold,
                    scene,
                    window_record.rig,
                    stamp_s,
                )
                sides |= {side * np.sign(b) for b in bearings if abs(b) >= LEAST_SIDE_DEG}
            found += 1 in sides
            wrong += -1 in sides
    return {
        'vehicles': vehicles,
        'found': found / vehicles if vehicles else float('nan'),
        'wrong_side': wrong / vehicles if vehicles else float('nan'),
    }


def _side(scene: Scene, rig: Rig, identity: int, t_s: float) -> float:
    """Return 1 if a vehicle is to the left of the camera's heading, -1 if to the right."""
    vehicle = next(v for v in scene.vehicles if v.vehicle_id == identity)
    position, rotation = scene.ego_pose(float(t_s))
    apart = (vehicle.pose(float(t_s))[0] - position) @ rotation - rig.camera.position_m
    azimuth = np.degrees(np.arctan2(apart[1], apart[0]))
    return float(np.sign(difference_deg(azimuth, _heading_deg(rig))))


def _unexplained(
    detections: Detections, threshold: float, scene: Scene, rig: Rig, t_s: float
) -> np.ndarray:
    """Return bearings that no vehicle in view explains, relative to the heading, degrees."""
    boxes = detections.boxes_px[detections.scores >= threshold]
    azimuths = box_azimuth_deg(boxes, rig)
    truth = scene.truth(float(t_s))
    in_view = box_azimuth_deg(truth.boxes_px[truth.visible_fraction >= SEEN], rig)
    apart = np.abs(difference_deg(azimuths[:, None], in_view[None, :]))
    free = azimuths[(apart > EXPLAINED_DEG).all(axis=1)]
    return difference_deg(free, _heading_deg(rig))


def _heading_deg(rig: Rig) -> float:
    ahead, left, _ = rig.camera.rotation[2]
    return float(np.degrees(np.arctan2(left, ahead)))
