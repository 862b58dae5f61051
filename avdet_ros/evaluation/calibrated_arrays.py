"""Arrays calibrated from other drives of their vehicles, as a user's array is.

A vehicle's minutes are drives of its own: the array it is measured with, one day's weather, seeds
that no test window has. Vehicles that the camera sees tell the yaw; their true boxes stand in for
a camera's detections. The ego vehicle's speed is known, as from its odometry.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avdet_ros.audio.array_yaw import Sightings, box_sightings
from avdet_ros.audio.self_calibration import calibrate_from_driving, calibrated_rig
from avdet_ros.audio.wave_fronts import WaveFrontFinder
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.window_store import Cut, WindowSetting, WindowStore
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.simulation.conditions import Condition, TrueArray, true_array
from avdet_ros.simulation.scene import Scene

FIRST_SEED, SEEDS_A_VEHICLE, VEHICLES = 260_000, 100, 400
"""Seeds of the drives that arrays are calibrated from: test seeds, and each of so many vehicles
has its own."""

DRIVE_S = 60.0
CALIBRATION_CUT = Cut(windows=0, seconds=DRIVE_S, rate_hz=1.0)
SIGHTING_S = 0.1
LEAST_SEEN = 0.5
"""Share of a vehicle that the camera must see."""

_DAY_STREAM = 13
"""Stream of a vehicle's seed that its day's temperature is drawn from."""


@dataclass(frozen=True)
class CalibratedArray:
    """One vehicle's array after calibration.

    Attributes:
        rig: what the calibration would write; the rig file's where it refused.
        before_s: rms by which the rig file's leads are wrong, see `lead_error_s`.
        after_s: the same of `rig`.
        refused: why it did, '' if it did not.
    """

    rig: Rig
    before_s: float
    after_s: float
    refused: str


def calibration_seeds(vehicle: int, minutes: float) -> list[int]:
    """Seeds of the drives that an array is calibrated from.

    Args:
        vehicle: seed of the array.
        minutes: how long they last.
    """
    first = FIRST_SEED + vehicle % VEHICLES * SEEDS_A_VEHICLE
    return list(range(first, first + max(round(60 * minutes / DRIVE_S), 1)))


def calibration_setting(condition: Condition, vehicle: int) -> WindowSetting:
    """What the drives are like that an array is calibrated from.

    Args:
        condition: of the test drives.
        vehicle: seed of the array.
    """
    day = np.random.default_rng([vehicle, _DAY_STREAM])
    temperature_c = round(float(day.uniform(-5, 35)), 1)
    its = replace(condition, vehicle=vehicle, vehicles=1, temperature_c=temperature_c)
    return WindowSetting(its, CALIBRATION_CUT)


def calibrate_arrays(
    condition: Condition,
    minutes: float,
    rig: Rig,
    cache: Path | None,
    cache_bytes: int,
    progress: Progress = SILENT,
) -> dict[int, CalibratedArray]:
    """Calibrate every vehicle of a condition.

    Args:
        condition: with `vehicle`, and not empty.
        minutes: of driving for each.
        rig: what the rig file says.
        cache: folder of sets of windows, None keeps nothing.
        cache_bytes: what it may take.
        progress: shown while it lasts.

    Returns:
        By seed of the vehicle's array.

    Raises:
        AvdetError: drives share no vehicle, or the folder cannot be used.
    """
    if condition.vehicle is None:
        raise AvdetError(
            'calibration: expected drives that share a vehicle (--one-vehicle), found an array '
            'for each drive'
        )
    total = condition.vehicles * len(calibration_seeds(0, minutes))
    found = {}
    with progress.step('calibration', total) as advance:
        for number in range(condition.vehicles):
            vehicle = condition.array_seed(number)
            setting = calibration_setting(condition, vehicle)
            store = WindowStore(cache, setting, rig)
            seeds = calibration_seeds(vehicle, minutes)
            kept, _ = store.prepare(seeds, cache_bytes)
            its_rig = setting.condition.rig(seeds[0], rig)
            finder = WaveFrontFinder(rig.sample_rate_hz, _aperture_m(its_rig))
            seen: list[Sightings] = []
            speeds: list[tuple[np.ndarray, np.ndarray]] = []
            for index, seed in enumerate(seeds):
                drive = store.drive(seed, index < kept)
                start_s = index * drive.sound.shape[2] / rig.sample_rate_hz
                finder.add(np.ascontiguousarray(drive.sound[0].T))
                scene = setting.condition.scene(seed, rig, DRIVE_S)
                seen.append(_sightings(scene, start_s))
                times = np.arange(0, DRIVE_S, 0.5)
                speeds.append((times + start_s, np.abs(scene.ego.speed_mps(times))))
                advance()
            calibrated, refused = _calibrated(finder, its_rig, seen, speeds)
            truth = true_array(setting.condition.scene(seeds[0], rig, DRIVE_S))
            found[vehicle] = CalibratedArray(
                calibrated, lead_error_s(its_rig, truth), lead_error_s(calibrated, truth), refused
            )
    return found


def lead_error_s(rig: Rig, array: TrueArray, speed_of_sound_mps: float = 343.0) -> float:
    """How wrong the leads that follow from a rig are, rms over front sector and live channels.

    Args:
        rig: what is believed.
        array: what is.
        speed_of_sound_mps: in the air.
    """
    azimuth = np.radians(np.arange(-56, 57, 4.0))
    towards = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros_like(azimuth)])
    believed = rig.microphones_m @ towards / speed_of_sound_mps - rig.delay_s[:, None]
    true = array.microphones_m @ towards / speed_of_sound_mps - array.delay_s[:, None]
    off = (believed - true)[array.alive]
    off = off - off.mean(axis=0)
    return float(np.sqrt((off**2).mean()))


def _calibrated(
    finder: WaveFrontFinder,
    rig: Rig,
    seen: list[Sightings],
    speeds: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[Rig, str]:
    """The rig that calibration would write, and why it refused, '' if it did not."""
    fronts = finder.fronts()
    sightings = Sightings(
        *(
            np.concatenate([getattr(part, name) for part in seen])
            for name in ('time_s', 'azimuths', 'distances_m', 'ids')
        )
    )
    at_s, mps = (np.concatenate([part[index] for part in speeds]) for index in (0, 1))
    try:
        result = calibrate_from_driving(
            fronts, rig, sightings, speeds_mps=np.interp(fronts.time_s, at_s, mps)
        )
    except AvdetError as error:
        return rig, str(error)
    return calibrated_rig(result, rig), ''


def _sightings(scene: Scene, start_s: float) -> Sightings:
    """What the camera sees of other vehicles on one drive."""
    times, boxes, ids = [], [np.zeros((0, 4))], []
    for t_s in np.arange(SIGHTING_S / 2, DRIVE_S, SIGHTING_S):
        labels = scene.labels(float(t_s))
        clear = labels.visible_fraction >= LEAST_SEEN
        boxes.append(labels.boxes_px[clear])
        # Another drive's vehicles are others.
        ids += [scene.seed * 1000 + int(identity) for identity in labels.ids[clear]]
        times += [start_s + t_s] * int(clear.sum())
    return box_sightings(scene.rig, np.array(times), np.concatenate(boxes), np.array(ids, int))


def _aperture_m(rig: Rig) -> float:
    places = rig.microphones_m[rig.alive]
    return float(np.linalg.norm(places[:, None] - places[None], axis=-1).max())
