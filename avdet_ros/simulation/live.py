"""A drive to play live: drawn from a seed, or read from a folder of `avdet sim drives`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig, load_rig
from avdet_ros.rig_match import recorded_difference
from avdet_ros.simulation.pictures import Conditions, random_conditions
from avdet_ros.simulation.plan import DrivePlan, Plan, make_scene
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.traffic import random_scene

SAME_PX = 0.02
"""Tolerance for equal boxes; the truth on disk is rounded to a hundredth of a pixel."""


@dataclass(frozen=True, eq=False)
class LiveDrive:
    """A drive that is played live.

    Attributes:
        name: published with the clock, so that capture and camera know that they play the same.
        duration_s: length of the drive.
        scene: the world; None if a folder's world cannot be reproduced.
        conditions: its light and weather; None if `scene` is None.
        folder: folder with its sound and pictures, None if they are rendered.
        notice: a remark for the user, or ''.
    """

    name: str
    duration_s: float
    scene: Scene | None
    conditions: Conditions | None
    folder: Path | None = None
    notice: str = ''

    @property
    def sound(self) -> Path | None:
        """The file with its sound, None if the sound is rendered."""
        return None if self.folder is None else self.folder / layout.DRIVE_SOUND


def drawn_drive(seed: int, rig: Rig, duration_s: float) -> LiveDrive:
    """Draw the drive of a seed with `traffic.random_scene`."""
    scene = random_scene(seed, rig, duration_s)
    conditions = random_conditions(seed, scene.temperature_c)
    return LiveDrive(f'simulation {seed}', duration_s, scene, conditions)


def written_drive(folder: str | Path, rig: Rig) -> LiveDrive:
    """Open a drive that `avdet sim drives` wrote.

    Sound and pictures are read from disk. The world is reproduced from the drive's parameters, so
    that the truth is known at any time; it must agree with the truth on disk.

    Args:
        folder: folder of the drive.
        rig: rig of the player; must be that of the drive.

    Raises:
        AvdetError: not such a drive, or recorded with another rig.
    """
    folder = Path(folder).absolute()
    path = folder / layout.DRIVE_SOUND
    try:
        about = soundfile.info(path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AvdetError(
            f'{folder}: expected a drive with {layout.DRIVE_SOUND} as avdet sim drives writes it, '
            f'found none'
        ) from error
    if (about.channels, about.samplerate) != (MICROPHONES, rig.sample_rate_hz):
        raise AvdetError(
            f'{path}: expected {MICROPHONES} channels at {rig.sample_rate_hz} Hz, '
            f'found {about.channels} at {about.samplerate} Hz'
        )
    rig_path = folder / 'rig.yaml'
    if rig_path.exists() and (difference := recorded_difference(rig, load_rig(rig_path))):
        raise AvdetError(
            f'{folder}: expected a drive of the rig in use, found another one ({difference}): '
            f'use rig:={rig_path}'
        )
    name, duration_s = f'drive {folder.name}', about.frames / about.samplerate
    scene, conditions = _world(folder, rig_path)
    if scene is None:
        notice = f'{folder}: its world cannot be reproduced here, so no truth is published'
        return LiveDrive(name, duration_s, None, None, folder, notice)
    return LiveDrive(name, duration_s, scene, conditions, folder)


def _world(folder: Path, rig_path: Path) -> tuple[Scene | None, Conditions | None]:
    """Reproduce the world of a written drive, if this version still makes the same one."""
    try:
        parameters = layout.read_parameters(folder)
        truth = layout.read_truth(folder.parent, folder.name)
        # engine loops change only the sound, which is on disk, and no positions
        plan = Plan(**{**parameters['plan'], 'recordings': ''})
        drive = DrivePlan(
            folder.name,
            parameters['split'],
            parameters['scene_seed'],
            parameters['night'],
            parameters['start_ns'],
        )
        scene, conditions = make_scene(plan, drive, rig_path)
    except (AvdetError, KeyError, TypeError):
        return None, None
    for line in list(truth.values())[:: max(len(truth) - 1, 1)]:
        now = scene.truth(line['time_s'])
        same = now.ids.tolist() == line['ids'] and np.allclose(
            now.boxes_px, line['boxes_px'], atol=SAME_PX
        )
        if not same:
            return None, None
    return scene, conditions
