"""One picture of all results: camera view, boxes, identities, sound, latency."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from avdet_ros.drawing.from_above import GroundTrails, Placed
from avdet_ros.drawing.road import draw_road
from avdet_ros.drawing.sound_strip import SoundStrip
from avdet_ros.drawing.style import (
    BAD,
    FAINT,
    GOOD,
    GRID,
    INK,
    TRUTH,
    colour,
    shade,
    tag,
    text,
)
from avdet_ros.drawing.trails import Trails, ground_place
from avdet_ros.rig import Rig

_PANEL_PX = 128
_BAR_PX = 34
_STRIP_LEFT, _LEVELS_PX, _MAP_PX = 62, 292, 300
_MAP_RANGE_M = 60.0
_LEVEL_LOW_DB, _LEVEL_HIGH_DB = -75.0, 5.0


@dataclass(frozen=True)
class Box:
    """A box to draw: pixels, identity, score."""

    box_px: np.ndarray
    track_id: int
    score: float = 1.0


@dataclass
class View:
    """Content of one picture.

    Attributes:
        tracks: vehicles detected by sound.
        truth: true vehicles, or None if the truth is unknown.
        image: (height, width, 3) uint8 BGR of the camera, or None for the drawn road.
        latency_ms: latency from sound to tracks, or None.
        time_s: stamp of the tracks.
        since_s: seconds since the first picture.
        note: one sentence on a problem, '' if there is none.
        facts: short texts for the right end of the head line.
        ground: vehicles in metres, or None if only boxes are known.
    """

    tracks: list[Box] = field(default_factory=list)
    truth: list[Box] | None = None
    image: np.ndarray | None = None
    latency_ms: float | None = None
    time_s: float = 0.0
    since_s: float = 0.0
    note: str = ''
    facts: str = ''
    ground: list[Placed] | None = None


class Painter:
    """Draws views of one rig.

    Attributes:
        strip: the spectrogram strip; fed by the caller.
        trails: past positions of the tracks; fed by the caller.
        ground_trails: the same in metres; fed by the caller.
    """

    def __init__(self, rig: Rig) -> None:
        """Draw the road once."""
        self._rig = rig
        self._road = draw_road(rig.camera)
        self.forget()

    def forget(self) -> None:
        """Forget strip and trails: identities used from now on belong to other vehicles."""
        self.strip = SoundStrip()
        self.trails = Trails()
        self.ground_trails = GroundTrails()

    def paint(self, view: View) -> np.ndarray:
        """Draw a picture of the camera's size, (height, width, 3) uint8 BGR."""
        camera = self._rig.camera
        size = (camera.width_px, camera.height_px)
        if view.image is None:
            picture = self._road.copy()
        elif view.image.shape[1::-1] == size:
            picture = view.image.copy()
        else:
            picture = cv2.resize(view.image, size, interpolation=cv2.INTER_AREA)
        for box in view.truth or []:
            _truth(picture, box)
        for track_id, points, ages in self.trails.lines(view.time_s):
            _trail(picture, points, ages, colour(track_id))
        for box in sorted(view.tracks, key=lambda box: box.box_px[3]):
            _track(picture, box)
        _head(picture, view)
        if camera.height_px >= 3 * _PANEL_PX and camera.width_px >= 1000:
            self._panel(picture, view)
        return picture

    def _panel(self, picture: np.ndarray, view: View) -> None:
        height, width = picture.shape[:2]
        top = height - _PANEL_PX
        shade(picture, slice(top, height), slice(0, width), 0.82)
        cv2.line(picture, (0, top), (width, top), GRID, 1)
        strip_width = width - _STRIP_LEFT - _LEVELS_PX - _MAP_PX
        rows = slice(top + 10, height - 22)
        strip = self.strip.picture(rows.stop - rows.start, strip_width)
        picture[rows, _STRIP_LEFT : _STRIP_LEFT + strip_width] = strip
        text(picture, '22 kHz', (_STRIP_LEFT - 6, top + 20), 0.36, FAINT, 1)
        text(picture, '0', (_STRIP_LEFT - 6, height - 24), 0.36, FAINT, 1)
        text(picture, '-6 s', (_STRIP_LEFT, height - 7), 0.36, FAINT)
        middle = _STRIP_LEFT + strip_width / 2
        text(
            picture,
            'what the microphones hear (mel bands)',
            (middle, height - 7),
            0.36,
            FAINT,
            0.5,
        )
        text(picture, 'now', (_STRIP_LEFT + strip_width, height - 7), 0.36, FAINT, 1)
        self._levels(picture, _STRIP_LEFT + strip_width + 26, top)
        self._map(picture, view, width - _MAP_PX / 2, height - 12)

    def _levels(self, picture: np.ndarray, left: int, top: int) -> None:
        low, high = top + 14, picture.shape[0] - 22
        for index, (name, level) in enumerate(
            zip(self._rig.names, self.strip.levels_db, strict=True)
        ):
            x = left + 30 * index
            share = np.clip((level - _LEVEL_LOW_DB) / (_LEVEL_HIGH_DB - _LEVEL_LOW_DB), 0, 1)
            cv2.rectangle(picture, (x, low), (x + 18, high), (48, 40, 34), -1)
            fill = GOOD if share < 0.85 else BAD
            cv2.rectangle(
                picture, (x, round(high - share * (high - low))), (x + 18, high), fill, -1
            )
            short = _short(name, self._rig.names)
            text(picture, short, (x + 9, picture.shape[0] - 7), 0.36, FAINT, 0.5)
        text(picture, 'dB', (left + 30 * 8 - 4, low + 8), 0.34, FAINT)

    def _map(self, picture: np.ndarray, view: View, x: float, y: float) -> None:
        """Draw the map from above: the vehicle, the camera's field of view, positions of boxes."""
        scale = (_PANEL_PX - 26) / _MAP_RANGE_M
        camera = self._rig.camera
        for distance in (20, 40, 60):
            radius = round(distance * scale)
            cv2.ellipse(
                picture, (round(x), round(y)), (radius, radius), 0, 180, 360, GRID, 1, cv2.LINE_AA
            )
            text(picture, f'{distance}', (x + radius + 3, y), 0.3, FAINT)
        for edge_px in (0, camera.width_px):
            ray = camera.directions([edge_px, camera.cy])
            end = (
                round(x - ray[1] * _MAP_RANGE_M * scale),
                round(y - ray[0] * _MAP_RANGE_M * scale),
            )
            cv2.line(picture, (round(x), round(y)), end, GRID, 1, cv2.LINE_AA)
        if view.ground is not None:
            self._ellipses(picture, view.ground, x, y, scale)
        found = [] if view.ground is not None else view.tracks
        for boxes, filled in ((view.truth or [], False), (found, True)):
            for box in boxes:
                place = ground_place(camera, box.box_px, _MAP_RANGE_M)
                centre = (round(x - place[1] * scale), round(y - place[0] * scale))
                if filled:
                    cv2.circle(picture, centre, 4, colour(box.track_id), -1, cv2.LINE_AA)
                else:
                    cv2.circle(picture, centre, 6, TRUTH, 1, cv2.LINE_AA)
        nose = np.array([[x, y - 7], [x - 4, y + 4], [x + 4, y + 4]]).round().astype(np.int32)
        cv2.fillPoly(picture, [nose], INK, cv2.LINE_AA)

    def _ellipses(
        self, picture: np.ndarray, vehicles: list[Placed], x: float, y: float, scale: float
    ) -> None:
        """Draw 90 % ellipses and trails of vehicles in metres, cut off at the map's edge."""
        width = picture.shape[1]
        left, top = width - _MAP_PX, picture.shape[0] - _PANEL_PX + 2
        part = picture[top:, left:]

        def pixels(places_m: np.ndarray) -> np.ndarray:
            shown = np.stack([x - places_m[:, 1] * scale, y - places_m[:, 0] * scale], axis=-1)
            return (np.clip(shown - [left, top], -4000, 4000) * 8).round().astype(np.int32)

        for track_id, line in self.ground_trails.lines().items():
            cv2.polylines(part, [pixels(line)], False, colour(track_id), 1, cv2.LINE_AA, 3)
        for vehicle in vehicles:
            ink, outline = colour(vehicle.track_id), pixels(vehicle.outline())
            filled = part.copy()
            cv2.fillPoly(filled, [outline], ink, cv2.LINE_AA, 3)
            cv2.addWeighted(part, 0.65, filled, 0.35, 0, dst=part)
            cv2.polylines(part, [outline], True, ink, 1, cv2.LINE_AA, 3)


def _short(name: str, names: tuple[str, ...]) -> str:
    """Initials of a microphone's name, or its first letters if others have the same initials."""
    initials = [''.join(part[0] for part in other.split('_'))[:3].upper() for other in names]
    own_initials = initials[names.index(name)]
    return own_initials if initials.count(own_initials) == 1 else name[:2].capitalize()


def _head(picture: np.ndarray, view: View) -> None:
    width = picture.shape[1]
    shade(picture, slice(0, _BAR_PX), slice(0, width), 0.75)
    text(picture, f'{view.since_s:.1f} s', (14, 23), 0.55)
    count = len(view.tracks)
    words = f'{count} vehicle{"" if count == 1 else "s"} heard'
    text(picture, words, (180, 23), 0.55, GOOD if count else FAINT)
    if view.latency_ms is not None:
        text(picture, f'latency {view.latency_ms:.0f} ms', (380, 23), 0.55)
    left = 560
    if view.truth is not None:
        cv2.rectangle(picture, (left, 10), (left + 22, 24), TRUTH, 1)
        text(picture, f'true ({len(view.truth)})', (left + 30, 23), 0.5, FAINT)
        left += 130
    cv2.rectangle(picture, (left, 10), (left + 22, 24), colour(1), 2)
    text(picture, 'heard: #identity score', (left + 30, 23), 0.5, FAINT)
    text(picture, view.facts, (width - 14, 23), 0.5, FAINT, 1)
    if view.note:
        tag(picture, view.note[:160], (14, _BAR_PX + 34), BAD, 0.55)


def _truth(picture: np.ndarray, box: Box) -> None:
    x0, y0, x1, y1 = (round(float(edge)) for edge in box.box_px)
    cv2.rectangle(picture, (x0, y0), (x1, y1), (40, 36, 32), 3, cv2.LINE_AA)
    cv2.rectangle(picture, (x0, y0), (x1, y1), TRUTH, 1, cv2.LINE_AA)


def _track(picture: np.ndarray, box: Box) -> None:
    x0, y0, x1, y1 = (round(float(edge)) for edge in box.box_px)
    ink = colour(box.track_id)
    rows, columns = slice(max(y0, 0), max(y1, 0)), slice(max(x0, 0), max(x1, 0))
    part = picture[rows, columns]
    if part.size:
        plate = np.empty_like(part)
        plate[...] = ink
        cv2.addWeighted(part, 0.85, plate, 0.15, 0, dst=part)
    cv2.rectangle(picture, (x0, y0), (x1, y1), ink, 2, cv2.LINE_AA)
    tag(picture, f'#{box.track_id}  {box.score:.2f}', (x0 - 1, y0), ink)


def _trail(
    picture: np.ndarray, points: np.ndarray, ages: np.ndarray, ink: tuple[int, int, int]
) -> None:
    places = (points * 8).round().astype(np.int32)
    for start, end, age in zip(places[:-1], places[1:], ages[1:], strict=True):
        faded = tuple(round(part * (1 - 0.75 * age)) for part in ink)
        cv2.line(picture, start.tolist(), end.tolist(), faded, 2, cv2.LINE_AA, 3)
