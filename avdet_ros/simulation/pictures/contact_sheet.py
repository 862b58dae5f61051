"""A contact sheet of the simulated world: all modalities by day, night, in rain, in a tunnel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from avdet_ros.dataset.thermal_counts import COUNTS
from avdet_ros.errors import AvdetError
from avdet_ros.files import explain_os_error
from avdet_ros.rig import load_rig
from avdet_ros.simulation.pictures.cameras import Cameras
from avdet_ros.simulation.pictures.conditions import Conditions
from avdet_ros.simulation.traffic import random_scene

LARGEST_BYTES = 1_000_000
THERMAL_RANGE = COUNTS

VIEWS = (
    ('day', 300022, 7.0, None, {'sun_elevation_deg': 38, 'cloud': 0.35, 'air_c': 19}),
    ('night', 300029, 3.5, None, {'sun_elevation_deg': -20, 'air_c': 9}),
    ('rain', 300004, 7.5, None, {'rain': 0.7, 'cloud': 1.0, 'lens_drops': 8, 'air_c': 11}),
    (
        'low sun, hot',
        300038,
        3.5,
        None,
        {'sun_elevation_deg': 9, 'cloud': 0.3, 'glare': 0.8, 'air_c': 33, 'sun_azimuth_deg': 12},
    ),
    ('night rain', 300012, 6.0, None, {'sun_elevation_deg': -20, 'rain': 0.6, 'cloud': 1.0}),
    ('tunnel', 300052, 2.5, 'tunnel', {'air_c': 17}),
)
"""Name, scene seed, drive time, setting (None: as drawn), conditions."""


def write_contact_sheet(path: str | Path, rig_path: str | Path | None = None) -> None:
    """Render the sheet: one column per view, one row per modality.

    Raises:
        AvdetError: the file cannot be written.
    """
    rig = load_rig(rig_path)
    columns = []
    for title, seed, t_s, setting, conditions in VIEWS:
        scene = random_scene(seed, rig, 8.0)
        if setting is not None:
            scene = replace(scene, setting=setting)
        frame = Cameras(scene, Conditions(seed=seed, **conditions)).frame(t_s)
        low, high = THERMAL_RANGE
        counts = np.clip(frame.thermal.astype(np.float32), low, high)
        grey = ((counts - low) * (255 / (high - low))).astype(np.uint8)
        rows = [frame.rgb, cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), frame.depth]
        small = [cv2.resize(row, (560, 190), interpolation=cv2.INTER_AREA) for row in rows]
        for image, modality in zip(small, ('RGB', 'thermal', 'depth'), strict=True):
            _write_text(image, f'{title}: {modality}')
        columns.append(np.vstack(small))
    sheet = np.vstack([np.hstack(columns[:3]), np.hstack(columns[3:])])
    data = _png(sheet)
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise AvdetError(
            f'{path}: expected a file to write, found {explain_os_error(error)}'
        ) from error


def _png(sheet: np.ndarray) -> bytes:
    """Encode as PNG, with fewer shades until the file is small enough."""
    for step in (1, 4, 8, 16):
        image = cv2.bilateralFilter(sheet, 5, 4.0 * step, 3) if step > 1 else sheet
        coarse = (image // step * step + step // 2).astype(np.uint8)
        _, data = cv2.imencode('.png', coarse, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        if len(data) <= LARGEST_BYTES:
            break
    return data.tobytes()


def _write_text(image: np.ndarray, text: str) -> None:
    # on a dark strip: the width of outlined letters differs between versions of OpenCV
    font = cv2.FONT_HERSHEY_SIMPLEX
    (width, height), _ = cv2.getTextSize(text, font, 0.5, 1)
    image[: height + 14, : width + 18] //= 3
    cv2.putText(image, text, (8, height + 7), font, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
