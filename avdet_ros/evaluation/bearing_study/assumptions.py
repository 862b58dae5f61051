"""What a model assumes of a drive: its array, its speed and the temperature of its air."""

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
"""What models can be told of each drive beside the array: see `on_windows.WindowPlan`."""

MEAN_OVER_S = 0.5
"""A true speed is that over so long, as `avdet_ros.tracking.ego_motion` has it from odometry."""

RigOf = Callable[[DriveWindows], Rig]
"""The rig that a detector assumes on a drive."""


def rig_file(drive: DriveWindows) -> Rig:
    """The rig of the rig file."""
    return drive.rig


def true_geometry(drive: DriveWindows) -> Rig:
    """The true rig, as a perfect calibration would find it."""
    return true_rig(drive.rig, drive.array)


def calibrated_by(rigs: Mapping[int, Rig], condition: Condition) -> RigOf:
    """The rig that calibration found for each drive's array.

    Args:
        rigs: by `Condition.array_seed`.
        condition: of the drives.
    """
    return lambda drive: rigs[condition.array_seed(drive.seed)]


def without_microphone(number: int) -> RigOf:
    """The rig of the rig file, with one of its microphones known as dead."""
    last: list[tuple[Rig, Rig]] = []

    def rig_of(drive: DriveWindows) -> Rig:
        # Drives of one rig share it: steering is made once.
        if not last or last[0][0] is not drive.rig:
            alive = drive.rig.alive.copy()
            alive[number] = False
            last[:] = [(drive.rig, replace(drive.rig, alive=alive))]
        return last[0][1]

    return rig_of


MotionOf = Callable[[DriveWindows], list[tuple[float, float]]]
"""Speed ahead and air temperature of each window that a detector assumes on a drive."""


def check_known(known: str) -> str:
    """Refuse what no model can be told; '' is nothing.

    Raises:
        AvdetError: it is none of `KNOWN`.
    """
    if known and known not in KNOWN:
        raise AvdetError(f'--known: expected one of {", ".join(KNOWN)}, found {known!r}')
    return known


def standing(drive: DriveWindows) -> list[tuple[float, float]]:
    """An array that stands in usual air."""
    return [(0.0, USUAL_AIR_C)] * len(drive)


def true_motion(setting: WindowSetting, base: Rig, known: str) -> MotionOf:
    """What is true of each drive's speed in the middle of its windows, and of its air.

    Args:
        setting: of the drives.
        base: the plan's rig file.
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
