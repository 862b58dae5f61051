"""Calibration of arrays from other drives of the same vehicles, as a user would do it.

The minutes of calibration are separate drives of a vehicle: with the same array, the weather of
one day, and seeds that no test window has. The yaw is estimated from vehicles in the camera's
image, with their true boxes in place of detections. The ego vehicle's speed is known, as from
odometry.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
import multiprocessing
from pathlib import Path

import numpy as np

from avdet_ros.audio.array_yaw import Sightings, box_sightings
from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.audio.self_calibration import calibrate_from_driving, calibrated_rig
from avdet_ros.audio.wave_fronts import WaveFrontFinder
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.window_store import Cut, WindowSetting, WindowStore
from avdet_ros.progress import SILENT, Progress
from avdet_ros.rig import Rig
from avdet_ros.simulation.conditions import Condition, TrueArray, true_array
from avdet_ros.simulation.one_run import end_with_parent
from avdet_ros.simulation.scene import Scene

FIRST_SEED, SEEDS_A_VEHICLE, VEHICLES = 260_000, 100, 400
"""Seeds of the drives for calibration: test seeds, with separate ones for each of `VEHICLES`
vehicles."""

DRIVE_S = 60.0
CALIBRATION_CUT = Cut(windows=0, seconds=DRIVE_S, rate_hz=1.0)
SIGHTING_S = 0.1
LEAST_SEEN = 0.5
"""Minimum share of a vehicle that the camera must see."""

STRETCH = (0.94, 1.06)
"""Stretch of the leads by air between -10 and 45 degrees Celsius, with a small margin."""

_DAY_STREAM = 13
"""Random stream of a vehicle's seed for the temperature of its day."""


@dataclass(frozen=True)
class CalibratedArray:
    """One vehicle's array after calibration.

    Attributes:
        rig: the rig that calibration would write; that of the rig file if it refused.
        before_s: rms error of the leads of the rig file, see `lead_error_s`.
        after_s: the same for `rig`.
        refused: reason for the refusal, '' if calibration succeeded.
    """

    rig: Rig
    before_s: float
    after_s: float
    refused: str


def calibration_seeds(vehicle: int, minutes: float) -> list[int]:
    """Return the seeds of the drives that an array is calibrated from.

    Args:
        vehicle: seed of the array.
        minutes: total length of the drives.
    """
    first = FIRST_SEED + vehicle % VEHICLES * SEEDS_A_VEHICLE
    return list(range(first, first + max(round(60 * minutes / DRIVE_S), 1)))


def calibration_setting(condition: Condition, vehicle: int) -> WindowSetting:
    """Return the setting of the drives that an array is calibrated from.

    Args:
        condition: condition of the test drives.
        vehicle: seed of the array.
    """
    day = np.random.default_rng([vehicle, _DAY_STREAM])
    temperature_c = round(float(day.uniform(-5, 35)), 1)
    calibration_condition = replace(
        condition, vehicle=vehicle, vehicles=1, temperature_c=temperature_c
    )
    return WindowSetting(calibration_condition, CALIBRATION_CUT)


def calibrate_arrays(
    condition: Condition,
    minutes: float,
    rig: Rig,
    cache: Path | None,
    cache_bytes: int,
    jobs: int = 1,
    progress: Progress = SILENT,
) -> dict[int, CalibratedArray]:
    """Calibrate every vehicle of a condition.

    Args:
        condition: condition with `vehicle` set, and not empty.
        minutes: minutes of driving for each vehicle.
        rig: rig of the rig file.
        cache: folder of sets of windows, None stores nothing.
        cache_bytes: maximum size of the folder.
        jobs: processes that share the vehicles.
        progress: shows how many vehicles are done.

    Returns:
        Calibrated arrays by seed of the array.

    Raises:
        AvdetError: drives share no vehicle, the folder cannot be used, or a process was killed
            from outside.
    """
    if condition.vehicle is None:
        raise AvdetError(
            'calibration: expected drives that share a vehicle (--one-vehicle), found an array '
            'for each drive'
        )
    vehicles = [condition.array_seed(number) for number in range(condition.vehicles)]
    tasks = []
    for vehicle in vehicles:
        store = WindowStore(cache, calibration_setting(condition, vehicle), rig)
        kept, _ = store.prepare(calibration_seeds(vehicle, minutes), cache_bytes)
        tasks.append((condition, vehicle, minutes, rig, cache, kept))
    with progress.step('calibration', len(tasks)) as advance:
        if jobs == 1:
            found = []
            for task in tasks:
                found.append(calibrate_vehicle(*task))
                advance()
            return dict(zip(vehicles, found, strict=True))
        # Spawned, not forked: the parent may hold threads of ONNX Runtime.
        context = multiprocessing.get_context('spawn')
        with ProcessPoolExecutor(min(jobs, len(tasks)), context, end_with_parent) as pool:
            futures = [pool.submit(calibrate_vehicle, *task) for task in tasks]
            try:
                for future in as_completed(futures):
                    future.result()
                    advance()
            except BrokenProcessPool as error:
                raise AvdetError(
                    'a process calibrating arrays was ended from outside, perhaps for lack of '
                    'memory; the same command continues with the drives already rendered'
                ) from error
            finally:
                for future in futures:
                    future.cancel()
        return dict(zip(vehicles, (future.result() for future in futures), strict=True))


def calibrate_vehicle(
    condition: Condition, vehicle: int, minutes: float, rig: Rig, cache: Path | None, kept: int
) -> CalibratedArray:
    """Calibrate one array; see `calibrate_arrays`.

    Args:
        condition: condition of the test drives.
        vehicle: seed of the array.
        minutes: minutes of driving.
        rig: rig of the rig file.
        cache: folder of sets of windows.
        kept: number of drives that may be stored there.
    """
    setting = calibration_setting(condition, vehicle)
    store = WindowStore(cache, setting, rig)
    seeds = calibration_seeds(vehicle, minutes)
    vehicle_rig = setting.condition.rig(seeds[0], rig)
    finder = WaveFrontFinder(rig.sample_rate_hz, _aperture_m(vehicle_rig))
    drive_sightings: list[Sightings] = []
    drive_speeds: list[tuple[np.ndarray, np.ndarray]] = []
    for index, seed in enumerate(seeds):
        drive = store.drive(seed, index < kept)
        start_s = index * drive.sound.shape[2] / rig.sample_rate_hz
        finder.add(np.ascontiguousarray(drive.sound[0].T))
        scene = setting.condition.scene(seed, rig, DRIVE_S)
        drive_sightings.append(_sightings(scene, start_s))
        times = np.arange(0, DRIVE_S, 0.5)
        drive_speeds.append((times + start_s, np.abs(scene.ego.speed_mps(times))))
    calibrated, refused = _calibrated(finder, vehicle_rig, drive_sightings, drive_speeds)
    truth = true_array(setting.condition.scene(seeds[0], rig, DRIVE_S))
    return CalibratedArray(
        calibrated, lead_error_s(vehicle_rig, truth), lead_error_s(calibrated, truth), refused
    )


def lead_error_s(rig: Rig, array: TrueArray) -> float:
    """Compute the rms error of a rig's leads over the front sector and the live channels.

    A common stretch of all leads is not an error: the daily change of air temperature causes one,
    and it moves no peak of an array that looks the same from all sides.

    Args:
        rig: the assumed rig.
        array: the true array.
    """
    azimuth = np.radians(np.arange(-56, 57, 4.0))
    towards = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros_like(azimuth)])
    towards_s = towards / SPEED_OF_SOUND_MPS
    assumed_s = _centred((rig.microphones_m @ towards_s)[array.alive])
    true_s = _centred((array.microphones_m @ towards_s + _column(rig, array))[array.alive])
    stretch = (assumed_s * true_s).sum() / max(float((assumed_s**2).sum()), 1e-30)
    stretch = np.clip(stretch, *STRETCH)
    return float(np.sqrt(((stretch * assumed_s - true_s) ** 2).mean()))


def _column(rig: Rig, array: TrueArray) -> np.ndarray:
    """Return the (8, 1) differences between the rig's delays and the true ones."""
    return (rig.delay_s - array.delay_s)[:, None]


def _centred(leads_s: np.ndarray) -> np.ndarray:
    return leads_s - leads_s.mean(axis=0)


def _calibrated(
    finder: WaveFrontFinder,
    rig: Rig,
    drive_sightings: list[Sightings],
    drive_speeds: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[Rig, str]:
    """Return the rig that calibration would write and its reason to refuse, '' if none."""
    fronts = finder.fronts()
    sightings = Sightings(
        *(
            np.concatenate([getattr(part, name) for part in drive_sightings])
            for name in ('time_s', 'azimuths', 'distances_m', 'ids')
        )
    )
    at_s, mps = (np.concatenate([part[index] for part in drive_speeds]) for index in (0, 1))
    try:
        result = calibrate_from_driving(
            fronts, rig, sightings, speeds_mps=np.interp(fronts.time_s, at_s, mps)
        )
    except AvdetError as error:
        return rig, str(error)
    return calibrated_rig(result, rig), ''


def _sightings(scene: Scene, start_s: float) -> Sightings:
    """Collect the camera's sightings of other vehicles on one drive."""
    times, boxes, ids = [], [np.zeros((0, 4))], []
    for t_s in np.arange(SIGHTING_S / 2, DRIVE_S, SIGHTING_S):
        labels = scene.labels(float(t_s))
        clear = labels.visible_fraction >= LEAST_SEEN
        boxes.append(labels.boxes_px[clear])
        # Vehicles of different drives need different identities.
        ids += [scene.seed * 1000 + int(identity) for identity in labels.ids[clear]]
        times += [start_s + t_s] * int(clear.sum())
    return box_sightings(scene.rig, np.array(times), np.concatenate(boxes), np.array(ids, int))


def _aperture_m(rig: Rig) -> float:
    places = rig.microphones_m[rig.alive]
    return float(np.linalg.norm(places[:, None] - places[None], axis=-1).max())
