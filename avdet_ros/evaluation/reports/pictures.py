"""Pictures of frames with true boxes and the boxes of up to two models."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avdet_ros.dataset.layout import FrameId, read_picture
from avdet_ros.detection.boxes import Detections
from avdet_ros.drawing.road import draw_road
from avdet_ros.drawing.style import dashed_box
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.boxes.metrics import CENTRE_SCORE
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.files import explain_os_error
from avdet_ros.rig import Rig

TRUE_BGR, A_BGR, B_BGR = (230, 230, 230), (230, 160, 60), (40, 140, 255)


def draw_frame(
    rig: Rig,
    truth: TruthFrame,
    predicted: dict[str, Detections],
    caption: str,
    seen: np.ndarray | None = None,
) -> np.ndarray:
    """Draw true boxes dashed in white, and the boxes of up to two detectors in colour.

    Args:
        rig: defines the image size and the horizon.
        truth: truth at the instant.
        predicted: detections by name of the detector, at most two.
        caption: one line at the top.
        seen: the camera's picture, BGR; None draws bearings instead.

    Returns:
        (height, width, 3) uint8, BGR.
    """
    picture = _bearings(rig) if seen is None else np.ascontiguousarray(seen).copy()
    for box in truth.boxes_px:
        dashed_box(picture, box, TRUE_BGR)
    for (name, detections), colour, row in zip(
        predicted.items(), (A_BGR, B_BGR), (0, 1), strict=False
    ):
        confident = detections.above(CENTRE_SCORE)
        for box, score in zip(confident.boxes_px, confident.scores, strict=True):
            x0, y0, x1, y1 = (int(value) for value in box)
            cv2.rectangle(picture, (x0, y0), (x1, y1), colour, 3)
            _text(picture, f'{score:.2f}', (x0, y0 - 6 if row else y1 + 22), colour)
        _text(picture, name, (20, 72 + 30 * row), colour)
    _text(picture, caption, (20, 36), TRUE_BGR)
    return picture


def _bearings(rig: Rig) -> np.ndarray:
    """Draw a dark picture with the horizon and bearings every ten degrees."""
    camera = rig.camera
    picture = np.full((camera.height_px, camera.width_px, 3), 40, np.uint8)
    far = camera.position_m + 1e4 * np.array([1.0, 0.0, 0.0])
    horizon = int(np.clip(camera.project(far)[0][1], 0, camera.height_px - 1))
    picture[horizon:] = 58
    for azimuth_deg in range(-40, 41, 10):
        azimuth = np.radians(azimuth_deg)
        x = camera.project(
            camera.position_m + 1e4 * np.array([np.cos(azimuth), np.sin(azimuth), 0])
        )
        column = int(np.clip(x[0][0], 0, camera.width_px - 1))
        cv2.line(picture, (column, horizon), (column, camera.height_px - 1), (80, 80, 80), 1)
        _text(picture, f'{azimuth_deg:+d}', (column + 4, camera.height_px - 10), (120, 120, 120))
    return picture


def seed_pictures(rig: Rig, seconds: float) -> Callable[[DriveRecord, int], np.ndarray]:
    """Make a function that renders the camera's daytime picture on simulated drives ``seed N``."""

    @lru_cache(maxsize=2)
    def world(seed: int) -> tuple[Any, Any]:
        from avdet_ros.simulation.pictures import random_conditions
        from avdet_ros.simulation.traffic import random_scene

        scene = random_scene(seed, rig, seconds)
        return scene, random_conditions(seed, scene.temperature_c, night=False)

    def paint(record: DriveRecord, index: int) -> np.ndarray:
        from avdet_ros.simulation.pictures.cameras import render_rgb

        scene, conditions = world(int(record.name.removeprefix('seed ')))
        return render_rgb(scene, conditions, record.stamps_s[index])[..., ::-1]

    return paint


def dataset_pictures(
    root: Path, frames: dict[str, list[FrameId]], rig: Rig
) -> Callable[[DriveRecord, int], np.ndarray]:
    """Make a function that reads the recorded pictures; a drawn road where one is missing.

    Args:
        root: the data set's folder.
        frames: frames of each drive's record.
        rig: defines the drawn road.
    """

    def read(record: DriveRecord, index: int) -> np.ndarray:
        try:
            return read_picture(root, frames[record.name][index], 'rgb')
        except AvdetError:
            return draw_road(rig.camera)

    return read


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture as PNG.

    Raises:
        AvdetError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode('.png', picture)[1].tobytes())
    except OSError as error:
        raise AvdetError(f'cannot write {path}: {explain_os_error(error)}') from error


def _text(picture: np.ndarray, text: str, place: tuple[int, int], colour: tuple[int, ...]) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, 2, cv2.LINE_AA)
