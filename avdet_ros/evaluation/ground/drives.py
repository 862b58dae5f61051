"""Simulated drives with detections and the truth in metres, cached on disk.

A drive takes a minute or more, nearly all of it to render its sound. The stored file is small: the
detections of each model and the positions of all vehicles and of the ego vehicle. Files appear
only when they are complete, so an interrupted run continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.detectors import common_front_end
from avdet_ros.evaluation.runs.on_simulation import truth_frame, window_ends
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.files import write_atomically
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.tracking.ego_motion import PlanarPose

if TYPE_CHECKING:
    from avdet_ros.simulation.scene import Scene

AHEAD_S = 0.5
"""How long the truth continues after the last window's instant: up to that window's end."""

MIN_SCORE, MOST = 0.05, 100
"""Minimum score and maximum number of the detections that node detector publishes by default."""

_PARTS = ('boxes_px', 'scores', 'range_m', 'azimuth_rad')
_VEHICLES = ('places_m', 'velocities_mps', 'audible', 'visible', 'distance_m')


@dataclass(frozen=True)
class GroundDrive:
    """One drive: T windows, and A more instants of truth up to the last window's end.

    Attributes:
        seed: seed of the drive.
        setting: kind of road.
        stamps_s: (T,) instants of the windows' boxes.
        ego: T + A poses of base_link in the drive's world, evenly spaced in time.
        ids: (V,) identities of the vehicles that come near.
        places_m: (V, T + A, 2) centres of the vehicles in base_link.
        velocities_mps: (V, T + A, 2) over ground, along base_link's axes.
        audible: (V, T) bool, as `Truth.audible`, and within its horizon.
        visible: (V, T) share of the vehicle that the camera sees.
        distance_m: (V, T) from the array; NaN beyond the horizon.
        truth: T frames of what a detector should report in the image.
        detections: by model name, one entry a window, including boxes beyond the image.
        in_image: the same as node detector publishes them by default, the input of the trackers
            in the image; empty where they were not stored.
    """

    seed: int
    setting: str
    stamps_s: np.ndarray
    ego: list[PlanarPose]
    ids: np.ndarray
    places_m: np.ndarray
    velocities_mps: np.ndarray
    audible: np.ndarray
    visible: np.ndarray
    distance_m: np.ndarray
    truth: list[TruthFrame]
    detections: dict[str, list[Detections]]
    in_image: dict[str, list[Detections]] = field(default_factory=dict)

    @property
    def rate_hz(self) -> float:
        """Number of windows a second."""
        return float((len(self.stamps_s) - 1) / (self.stamps_s[-1] - self.stamps_s[0]))

    def ego_mps(self, step: int) -> np.ndarray:
        """Return the (2,) velocity of base_link along its axes at one of the T + A instants."""
        last = len(self.ego) - 1
        low, high = self.ego[max(step - 1, 0)], self.ego[min(step + 1, last)]
        seconds = (min(step + 1, last) - max(step - 1, 0)) / self.rate_hz
        x, y = (high.x_m - low.x_m) / seconds, (high.y_m - low.y_m) / seconds
        cos, sin = np.cos(self.ego[step].yaw_rad), np.sin(self.ego[step].yaw_rad)
        return np.array([cos * x + sin * y, cos * y - sin * x])


@dataclass(frozen=True)
class GroundPlan:
    """Length and rate of the drives, and the detectors that run on them.

    Attributes:
        seconds: length of a drive.
        rate_hz: windows a second.
        detectors: loaded models by name.
        rig: microphones and camera.
    """

    seconds: float
    rate_hz: float
    detectors: dict[str, Detector]
    rig: Rig

    def path(self, folder: Path, seed: int) -> Path:
        """Return the file of a drive; its name holds everything the content depends on."""
        digests = '-'.join(self.detectors[name].sha256[:8] for name in sorted(self.detectors))
        return folder / f'ground_{seed}_{self.seconds:g}s_{self.rate_hz:g}hz_{digests}.npz'


def ground_drives(
    plan: GroundPlan, seeds: Sequence[int], folder: Path, progress: Progress = SILENT
) -> list[GroundDrive]:
    """Load drives from disk; make and store those that are missing.

    Args:
        plan: see `GroundPlan`.
        seeds: seeds of the drives.
        folder: where the drives are stored.
        progress: shows how many drives are ready.

    Raises:
        AvdetError: the folder cannot be written.
    """
    found = []
    with progress.step('drives', len(seeds)) as advance:
        for seed in seeds:
            path = plan.path(folder, seed)
            try:
                drive = read_ground_drive(path, seed)
                if not plan.detectors.keys() <= drive.in_image.keys():
                    raise KeyError('in_image')
            except (OSError, ValueError, KeyError, BadZipFile):
                drive = run_ground_drive(plan, seed)
                write_ground_drive(path, drive)
            found.append(drive)
            advance()
    return found


def run_ground_drive(plan: GroundPlan, seed: int) -> GroundDrive:
    """Render a drive and run every detector over its windows."""
    from avdet_ros.simulation.sound import SoundRenderer
    from avdet_ros.simulation.traffic import random_scene

    scene = random_scene(seed, plan.rig, plan.seconds)
    front_end, renderer = common_front_end(plan.detectors), SoundRenderer(scene)
    detections: dict[str, list[Detections]] = {name: [] for name in plan.detectors}
    in_image: dict[str, list[Detections]] = {name: [] for name in plan.detectors}
    stamps = []
    for end in window_ends(plan.seconds, plan.rate_hz, front_end):
        waveform = renderer.read(end - front_end.samples, front_end.samples)
        spectrogram = front_end.compute(np.ascontiguousarray(waveform, np.float32))
        for name, detector in plan.detectors.items():
            for kept, beyond in ((detections, True), (in_image, False)):
                found = detector.detect(spectrogram, beyond_image=beyond)
                kept[name].append(found.best(MIN_SCORE, MOST))
        offset_s = next(iter(plan.detectors.values())).contract.label_offset_s
        stamps.append(end / front_end.sample_rate_hz + offset_s)
    drive = with_truth(scene, seed, np.array(stamps), plan.rate_hz, detections)
    return replace(drive, in_image=in_image)


def with_truth(
    scene: Scene,
    seed: int,
    stamps_s: np.ndarray,
    rate_hz: float,
    detections: dict[str, list[Detections]],
) -> GroundDrive:
    """Combine detections with the truth in metres."""
    later = stamps_s[-1] + np.arange(1, round(AHEAD_S * rate_hz) + 1) / rate_hz
    times = np.concatenate([stamps_s, later])
    position, rotation = scene.ego_pose(times)
    yaw = np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0])
    frames = [scene.truth(float(t)) for t in stamps_s]
    near = sorted({int(i) for frame in frames for i in frame.ids})
    vehicles = {vehicle.vehicle_id: vehicle for vehicle in scene.vehicles}
    count, steps = len(near), len(stamps_s)
    places, speeds = np.zeros((count, len(times), 2)), np.zeros((count, len(times), 2))
    audible, visible = np.zeros((count, steps), bool), np.zeros((count, steps))
    distance = np.full((count, steps), np.nan)
    for row, identity in enumerate(near):
        place, turn = vehicles[identity].pose(times)
        middle = place + turn[:, :, 2] * vehicles[identity].height_m / 2 - position
        places[row] = np.einsum('tij,ti->tj', rotation, middle)[:, :2]
        speed = np.gradient(place, times, axis=0)
        speeds[row] = np.einsum('tij,ti->tj', rotation, speed)[:, :2]
        for step, frame in enumerate(frames):
            for index in np.flatnonzero(frame.ids == identity):
                audible[row, step] = frame.audible[index]
                visible[row, step] = frame.visible_fraction[index]
                distance[row, step] = frame.distance_m[index]
    return GroundDrive(
        seed=seed,
        setting=scene.setting,
        stamps_s=stamps_s,
        ego=[PlanarPose(*map(float, row)) for row in np.column_stack([position[:, :2], yaw])],
        ids=np.array(near, np.int64),
        places_m=places,
        velocities_mps=speeds,
        audible=audible,
        visible=visible,
        distance_m=distance,
        truth=[truth_frame(frame.labels()) for frame in frames],
        detections=detections,
    )


def write_ground_drive(path: Path, drive: GroundDrive) -> None:
    """Write a drive atomically.

    Raises:
        AvdetError: it cannot be written.
    """
    arrays = {
        'setting': np.array(drive.setting),
        'stamps_s': drive.stamps_s,
        'ego': np.array([[p.x_m, p.y_m, p.yaw_rad] for p in drive.ego]),
        'ids': drive.ids,
        'models': np.array(sorted(drive.detections)),
        **{name: getattr(drive, name) for name in _VEHICLES},
        'truth_count': np.array([len(frame) for frame in drive.truth]),
    }
    for name in ('boxes_px', 'ids', 'distance_m', 'visible', 'level_db'):
        arrays[f'truth_{name}'] = np.concatenate([getattr(f, name) for f in drive.truth])
    for kind, lists in (('', drive.detections), ('in_image_', drive.in_image)):
        for index, name in enumerate(sorted(drive.detections)):
            if name in lists:
                arrays |= _packed(f'{kind}{{}}_{index}', lists[name])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AvdetError(f'{path.parent}: expected a folder, found: {error}') from error
    with write_atomically(path) as file:
        np.savez_compressed(file, **arrays)


def read_ground_drive(path: Path, seed: int) -> GroundDrive:
    """Read a drive written by `write_ground_drive`.

    Raises:
        OSError, ValueError, KeyError, BadZipFile: there is no such file, or it is damaged.
    """
    with np.load(path, allow_pickle=False) as arrays:
        ends = np.cumsum(arrays['truth_count'])[:-1]
        names = ('boxes_px', 'ids', 'distance_m', 'visible', 'level_db')
        columns = [np.split(arrays[f'truth_{name}'], ends) for name in names]
        models = [str(name) for name in arrays['models']]
        detections = {name: _unpacked(f'{{}}_{i}', arrays) for i, name in enumerate(models)}
        in_image = {
            name: _unpacked(f'in_image_{{}}_{i}', arrays)
            for i, name in enumerate(models)
            if f'in_image_count_{i}' in arrays
        }
        return GroundDrive(
            seed=seed,
            setting=str(arrays['setting']),
            stamps_s=arrays['stamps_s'],
            ego=[PlanarPose(*map(float, row)) for row in arrays['ego']],
            ids=arrays['ids'],
            truth=[TruthFrame(*frame) for frame in zip(*columns, strict=True)],
            detections=detections,
            in_image=in_image,
            **{name: arrays[name] for name in _VEHICLES},
        )


def _packed(key: str, frames: list[Detections]) -> dict[str, np.ndarray]:
    """Return the detections of all windows as arrays; `key` is a template for their names."""
    arrays = {key.format('count'): np.array([len(found) for found in frames])}
    for part in _PARTS:
        if all(getattr(found, part) is not None for found in frames):
            arrays[key.format(part)] = np.concatenate([getattr(f, part) for f in frames])
    return arrays


def _unpacked(key: str, arrays: Mapping[str, np.ndarray]) -> list[Detections]:
    """Restore the detections from the arrays of `_packed`."""
    cuts = np.cumsum(arrays[key.format('count')])[:-1]
    boxes, scores, *more = (
        np.split(arrays[key.format(part)], cuts) if key.format(part) in arrays else None
        for part in _PARTS
    )
    if boxes is None or scores is None:
        raise KeyError(key.format('boxes_px'))
    return [
        Detections(
            boxes[step], scores[step], *(None if part is None else part[step] for part in more)
        )
        for step in range(len(cuts) + 1)
    ]
