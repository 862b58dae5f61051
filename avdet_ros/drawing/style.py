"""Colours and text of all pictures. Colours are BGR, as in OpenCV."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

INK = (235, 232, 228)
FAINT = (150, 142, 132)
GRID = (96, 84, 70)
PANEL = (26, 20, 16)
TRUTH = (255, 255, 255)
GOOD = (120, 210, 90)
BAD = (70, 90, 240)

FONT = cv2.FONT_HERSHEY_DUPLEX
_DASH_PX = 12
_GOLDEN = 0.61803398875


def colour(track_id: int) -> tuple[int, int, int]:
    """Return the colour of an identity; those of consecutive identities differ clearly."""
    hue = (0.08 + track_id * _GOLDEN) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.72, 1.0)
    return round(255 * blue), round(255 * green), round(255 * red)


def text(
    picture: np.ndarray,
    words: str,
    place: tuple[float, float],
    size: float = 0.5,
    ink: tuple[int, int, int] = INK,
    align: float = 0.0,
) -> None:
    """Write text.

    Args:
        picture: (height, width, 3) uint8, changed in place.
        words: ASCII text.
        place: left end, centre or right end of the base line, see `align`.
        size: factor on OpenCV's base size of about 22 px.
        ink: colour.
        align: 0 left, 0.5 centred, 1 right.
    """
    width = cv2.getTextSize(words, FONT, size, 1)[0][0]
    left, base = round(place[0] - align * width), round(place[1])
    cv2.putText(picture, words, (left, base), FONT, size, ink, 1, cv2.LINE_AA)


def tag(
    picture: np.ndarray,
    words: str,
    place: tuple[float, float],
    fill: tuple[int, int, int],
    size: float = 0.55,
) -> None:
    """Write dark text on a filled plate with its lower left corner at a place, moved inside."""
    (width, height), _ = cv2.getTextSize(words, FONT, size, 1)
    rows, columns = picture.shape[:2]
    left = int(np.clip(place[0], 0, max(columns - width - 12, 0)))
    bottom = int(np.clip(place[1], height + 10, rows - 1))
    top = bottom - height - 10
    cv2.rectangle(picture, (left, top), (left + width + 12, bottom), fill, -1)
    cv2.putText(picture, words, (left + 6, bottom - 5), FONT, size, (16, 14, 12), 1, cv2.LINE_AA)


def dashed_box(
    picture: np.ndarray, box: np.ndarray, ink: tuple[int, int, int], thickness: int = 2
) -> None:
    """Draw a box in dashes, so that anything below stays visible.

    Args:
        picture: (H, W, 3) uint8, changed in place.
        box: (4,) corners, pixels.
        ink: BGR.
        thickness: pixels.
    """
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    for x in range(x0, x1, 2 * _DASH_PX):
        for y in (y0, y1):
            cv2.line(picture, (x, y), (min(x + _DASH_PX, x1), y), ink, thickness)
    for y in range(y0, y1, 2 * _DASH_PX):
        for x in (x0, x1):
            cv2.line(picture, (x, y), (x, min(y + _DASH_PX, y1)), ink, thickness)


def shade(picture: np.ndarray, rows: slice, columns: slice, strength: float) -> None:
    """Blend a part of a picture with the panel's colour."""
    part = picture[rows, columns]
    plate = np.empty_like(part)
    plate[...] = PANEL
    cv2.addWeighted(part, 1 - strength, plate, strength, 0, dst=part)
