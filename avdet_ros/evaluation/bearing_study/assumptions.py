"""A model's assumptions about a drive: array, speed and air temperature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.moving_steering import USUAL_AIR_C
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.runs.window_store import WindowSetting
from avdet_ros.evaluation.runs.windows import DriveWindows
from avdet_ros.rig import Rig
from avdet_ros.simulation.conditions import Condition, true_rig

KNOWN = ('speed', 'speed and air')
"""True values that models can receive for each drive besides the array, see
`on_windows.WindowPlan`."""

MEAN_OVER_S = 0.5
"""Duration over which a true speed is averaged, as `avdet_ros.tracking.ego_motion` does with
odometry."""

RigOf = Callable[[DriveWindows], Rig]
"""The rig that a detector assumes on a drive."""


def rig_file(drive: DriveWindows) -> Rig:
    """Return the rig of the rig file."""
    return drive.rig


def true_geometry(drive: DriveWindows) -> Rig:
    """Return the true rig, the result of a perfect calibration."""
    return true_rig(drive.rig, drive.array)


def calibrated_by(rigs: Mapping[int, Rig], condition: Condition) -> RigOf:
    """Make a function that returns the calibrated rig of each drive's array.

    Args:
        rigs: rigs by `Condition.array_seed`.
        condition: condition of the drives.
    """
    return lambda drive: rigs[condition.array_seed(drive.seed)]


def without_microphone(number: int) -> RigOf:
    """Make a function that returns the rig file's rig with one microphone marked as dead."""
    last: list[tuple[Rig, Rig]] = []

    def rig_of(drive: DriveWindows) -> Rig:
        # Drives of one rig share the result, so that steering is computed once.
        if not last or last[0][0] is not drive.rig:
            alive = drive.rig.alive.copy()
            alive[number] = False
            last[:] = [(drive.rig, replace(drive.rig, alive=alive))]
        return last[0][1]

    return rig_of


MotionOf = Callable[[DriveWindows], list[tuple[float, float]]]
"""Forward speed and air temperature that a detector assumes for each window of a drive."""


def check_known(known: str) -> str:
    """Refuse a value that is not in `KNOWN`; '' stands for nothing known.

    Raises:
        AvdetError: the value is none of `KNOWN`.
    """
    if known and known not in KNOWN:
        raise AvdetError(f'--known: expected one of {", ".join(KNOWN)}, found {known!r}')
    return known


def standing(drive: DriveWindows) -> list[tuple[float, float]]:
    """Assume a standing array in usual air."""
    return [(0.0, USUAL_AIR_C)] * len(drive)


def true_motion(setting: WindowSetting, base: Rig, known: str) -> MotionOf:
    """Make a function that returns the true speed in the middle of each window, and the air.

    Args:
        setting: setting of the drives.
        base: rig of the plan's rig file.
        known: one of `KNOWN`.
    """

    def motion_of(drive: DriveWindows) -> list[tuple[float, float]]:
        scene = setting.condition.scene(drive.seed, base, setting.cut.duration_s)
        middle_s = drive.end_s - FrontEnd.of(drive.rig).window_s / 2
        air_c = scene.temperature_c if known == 'speed and air' else USUAL_AIR_C
        half_s = MEAN_OVER_S / 2
        before, after = (scene.ego_pose(middle_s + part)[0] for part in (-half_s, half_s))
        ahead = scene.ego_pose(middle_s)[1][:, :, 0]
        speeds = ((after - before) * ahead).sum(axis=1) / MEAN_OVER_S
        return [(float(speed), air_c) for speed in speeds]

    return motion_of
