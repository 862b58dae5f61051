"""Draw attention over a picture with an audible vehicle next to a silent one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.evaluation.sounding.boxes import AUDIBLE, SILENT, SeenBoxes
from avdet_ros.files import write_atomically

WIDTH_PX = 960
SOUNDS_BGR, SILENT_BGR, MASKED_BGR = (80, 220, 80), (60, 60, 235), (60, 200, 235)


def example_frame(boxes: SeenBoxes) -> int | None:
    """Find the frame in which an audible and a silent vehicle are both largest."""
    height = boxes.boxes_px[:, 3] - boxes.boxes_px[:, 1]
    best, found = 0.0, None
    for number in np.unique(boxes.frame):
        own = boxes.frame == number
        sizes = [
            height[own & (boxes.state == state)].max(initial=0) for state in (AUDIBLE, SILENT)
        ]
        if min(sizes) > best:
            best, found = float(min(sizes)), int(number)
    return found


def draw_attention(root: Path, boxes: SeenBoxes, heat: np.ndarray, path: Path) -> bool:
    """Draw the frame of `example_frame` twice with boxes: plain, and below with attention.

    Args:
        root: the data set's folder.
        boxes: visible vehicles.
        heat: (F, rows, columns) attention of the frames.
        path: the JPEG file to write.

    Returns:
        Whether there is such a frame.
    """
    number = example_frame(boxes)
    if number is None:
        return False
    picture = layout.read_picture(root, boxes.frames[number], 'rgb')
    scale = WIDTH_PX / picture.shape[1]
    size = WIDTH_PX, round(scale * picture.shape[0])
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    part = heat[number] / max(float(heat[number].max()), 1e-12)
    smooth = cv2.resize((255 * part).astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    lit = cv2.applyColorMap(smooth, cv2.COLORMAP_INFERNO)
    shown = [small.copy(), cv2.addWeighted(small, 0.45, lit, 0.75, 0)]
    colours = {AUDIBLE: SOUNDS_BGR, SILENT: SILENT_BGR}
    for row in np.flatnonzero(boxes.frame == number):
        x0, y0, x1, y1 = (int(value) for value in np.round(scale * boxes.boxes_px[row]))
        colour = colours.get(int(boxes.state[row]), MASKED_BGR)
        for image in shown:
            cv2.rectangle(image, (x0, y0), (x1, y1), colour, 2)
    data = cv2.imencode('.jpg', np.concatenate(shown), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    with write_atomically(path) as file:
        file.write(data.tobytes())
    return True
