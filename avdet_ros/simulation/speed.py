"""Processor time for making windows and drives on this machine; other load matters little.

One independent process per core makes windows and drives, so n cores need the processor time
divided by n, as long as the disk keeps up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
import time

import cv2

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import Rig
from avdet_ros.simulation.drive import render_drive_sound, write_drive
from avdet_ros.simulation.pictures import Cameras
from avdet_ros.simulation.plan import Plan, make_scene, plan_drives
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.simulation.windows import SPACING_S, WINDOWS_A_SCENE, scene_windows

WINDOW_SEEDS = range(200_200, 200_230)
PLAN = Plan(drives=6, minutes=0.25, seed=3, fps=2.0)


@dataclass(frozen=True)
class Speed:
    """Processor seconds for each kind of output.

    Attributes:
        window_s: for a window of eight channels with features and labels.
        windows: number of windows made.
        pictures_s: for rendering an instant in all three modalities.
        frame_s: for a frame of a drive on disk: pictures, clips and its share of the sound.
        frames: number of frames made.
        sound_s: for a second of a drive's eight channels.
    """

    window_s: float
    windows: int
    pictures_s: float
    frame_s: float
    frames: int
    sound_s: float


def measure(rig: Rig, rig_path: Path | None = None) -> Speed:
    """Time the windows of `WINDOW_SEEDS`, and a few short drives in a temporary folder."""
    cv2.setNumThreads(1)
    front_end = FrontEnd.of(rig)

    def windows(seed: int) -> int:
        scene = random_scene(seed, rig, WINDOWS_A_SCENE * SPACING_S)
        return sum(1 for _ in scene_windows(scene, front_end))

    windows(WINDOW_SEEDS[0])  # compiles the code before timing
    began = time.process_time()
    made = sum(windows(seed) for seed in WINDOW_SEEDS)
    window_s = (time.process_time() - began) / made
    times, drives = PLAN.times_s(), plan_drives(PLAN)
    count = len(times) * len(drives)
    with TemporaryDirectory() as folder:
        first = replace(PLAN, minutes=0.05)
        write_drive(Path(folder), first, plan_drives(first)[0], rig_path)
        began = time.process_time()
        for drive in drives:
            write_drive(Path(folder), PLAN, drive, rig_path)
        frame_s = (time.process_time() - began) / count
    pictures_s = sound_s = 0.0
    for drive in drives:
        scene, conditions = make_scene(PLAN, drive, rig_path)
        cameras = Cameras(scene, conditions)
        began = time.process_time()
        for t_s in times:
            cameras.frame(float(t_s))
        painted = time.process_time()
        render_drive_sound(scene)
        pictures_s += painted - began
        sound_s += time.process_time() - painted
    seconds = PLAN.duration_s * len(drives)
    return Speed(window_s, made, pictures_s / count, frame_s, count, sound_s / seconds)
