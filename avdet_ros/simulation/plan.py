"""Plan of a run, and the names, splits, seeds and worlds of drives derived from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import math
from pathlib import Path

import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.dataset.splits import SPLIT_SEEDS
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.simulation.manoeuvres import add_to_drive
from avdet_ros.simulation.pictures import Conditions, random_conditions
from avdet_ros.simulation.recordings import load_recordings
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.traffic import random_scene

FIRST_DAY = datetime(2030, 1, 1, tzinfo=UTC)
SEEDS_A_SPLIT = SPLIT_SEEDS['train'][1]
"""Scene seeds of training drives are below this; those of validation and test follow."""

SHARES = {'val': 0.2, 'test': 0.2}

BYTES_A_FRAME = 1_700_000
BYTES_OF_CLIPS = 320_000
BYTES_OF_SOUND_A_S = 320_000
"""Measured upper bounds of the average size of a frame, its clips, a second of eight channels."""


@dataclass(frozen=True)
class Plan:
    """Settings of a run; two runs with equal plans write equal bytes.

    Attributes:
        drives: number of drives.
        minutes: length of each drive.
        seed: seed of the run.
        fps: pictures per second.
        clips: write each frame's second of sound as eight files, as in MAVD.
        clean_too: also write the sound without the array's errors, ``drive_clean.flac``.
        recordings: folder of loops used as engines and tyres, '' for synthetic ones.
        sound: write the sound; drives without it are for training teachers, which use only images.
        daytime: ``day``, ``night``, or ``all`` for half of each.
    """

    drives: int = 40
    minutes: float = 2.0
    seed: int = 7
    fps: float = 2.0
    clips: bool = True
    clean_too: bool = False
    recordings: str = ''
    sound: bool = True
    daytime: str = 'all'

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            AvdetError: a value is out of its range.
        """
        for name, low, high in (
            ('drives', 1, 10_000),
            ('minutes', 0.05, 20),
            ('seed', 0, 2**31 - 1),
            ('fps', 0.1, 30),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise AvdetError(f'{name}: expected {low} to {high}, found {value:g}')
        if self.daytime not in ('all', *layout.DAYTIMES):
            known = ', '.join(('all', *layout.DAYTIMES))
            raise AvdetError(f'daytime: expected one of {known}, found {self.daytime:.40}')
        if not self.sound and (self.clips or self.clean_too or self.recordings):
            raise AvdetError(
                'drives without sound: expected no clips, no clean sound and no recordings'
            )

    @property
    def duration_s(self) -> float:
        """Length of a drive."""
        return self.minutes * 60.0

    def times_s(self) -> np.ndarray:
        """Return the (F,) drive time of each frame; its second of sound lies within the drive."""
        last = self.duration_s - layout.CLIP_S
        return 0.5 + np.arange(math.floor(last * self.fps + 1e-6) + 1) / self.fps

    def needed_bytes(self) -> int:
        """Estimate the disk space of the whole run."""
        frame = BYTES_A_FRAME + BYTES_OF_CLIPS * self.clips
        sound = BYTES_OF_SOUND_A_S * self.duration_s * (self.sound + self.clean_too)
        return int(self.drives * (len(self.times_s()) * frame + sound))


@dataclass(frozen=True)
class DrivePlan:
    """One drive of a run.

    Attributes:
        name: name of its folder.
        split: the split it belongs to.
        scene_seed: seed for `traffic.random_scene`; each split has its own seeds.
        night: whether it takes place at night.
        start_ns: start time, nanoseconds since 1970.
    """

    name: str
    split: str
    scene_seed: int
    night: bool
    start_ns: int


def plan_drives(plan: Plan) -> list[DrivePlan]:
    """Draw names, splits (60/20/20 by drive) and seeds of a run's drives."""
    rng = np.random.default_rng([plan.seed, 211])
    held = {split: round(share * plan.drives) for split, share in SHARES.items()}
    if plan.drives >= 3:
        held = {split: max(count, 1) for split, count in held.items()}
    splits = ['train'] * (plan.drives - sum(held.values()))
    splits += [split for split, count in held.items() for _ in range(count)]
    seeds = rng.choice(SEEDS_A_SPLIT, plan.drives, replace=False)
    drives = []
    for index, (split, seed) in enumerate(zip(splits, seeds, strict=True)):
        night = index % 2 == 1 if plan.daytime == 'all' else plan.daytime == 'night'
        hour = int(rng.integers(20, 24) if night else rng.integers(9, 16))
        clock = timedelta(
            days=index, hours=hour, minutes=int(rng.integers(60)), seconds=int(rng.integers(60))
        )
        start = FIRST_DAY + clock
        name = f'drive_{"night" if night else "day"}_{start:%Y_%m_%d_%H_%M_%S}'
        offset = SPLIT_SEEDS[split][0]
        start_ns = int(start.timestamp()) * 1_000_000_000
        drives.append(DrivePlan(name, split, int(seed) + offset, night, start_ns))
    return drives


def make_scene(
    plan: Plan, drive: DrivePlan, rig_path: Path | None, clean: bool = False
) -> tuple[Scene, Conditions]:
    """Make the world of a drive, and its light and weather."""
    rig = load_rig(rig_path)
    loops = None
    if plan.recordings:
        loops = load_recordings(plan.recordings, rig.sample_rate_hz)
    scene = random_scene(drive.scene_seed, rig, plan.duration_s, corrupted=not clean)
    scene = add_to_drive(scene, not clean, loops)
    return scene, random_conditions(drive.scene_seed, scene.temperature_c, drive.night)
