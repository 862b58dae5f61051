"""A page in the Rerun viewer, for users without RViz: picture, boxes, sound levels, latency.

Everything is shown at its header stamp, so that boxes lie on the picture of the same instant.
Rerun is optional: see `INSTALL`.
"""

from __future__ import annotations

from collections.abc import Sequence
import os
from pathlib import Path
import time
from typing import Any

import cv2
import numpy as np

from avdet_ros.drawing.eight_bit import eight_bit
from avdet_ros.drawing.from_above import GroundTrails, Placed
from avdet_ros.drawing.road import draw_road
from avdet_ros.drawing.style import colour
from avdet_ros.errors import AvdetError
from avdet_ros.rig import MICROPHONES, Rig

TIMELINE = 'time'
"""Name of the timeline of header stamps."""

JPEG_QUALITY = 80
LARGEST_SIDE_PX = 1920
"""Larger pictures and their boxes are scaled down to this."""

HEAT_OPACITY = 0.5
"""Opacity of an attention map over a picture."""

RINGS_M = (20, 40, 60)
"""Radii of the rings drawn around the vehicle."""

INSTALL = 'pip install -r tools/requirements/view.txt -c tools/requirements/constraints.txt'
"""Command to run in this repository. Without its pinned versions, pip may install a numpy that is
incompatible with ROS's messages."""

SCREENS = ('DISPLAY', 'WAYLAND_DISPLAY', 'WAYLAND_SOCKET')
"""Environment variables that name a screen on Linux. Without a screen Rerun's viewer exits, and
this process would wait for it."""

_SILENT_DB = -100.0
_TRUTH_COLOUR = (255, 255, 255)
_AROUND_COLOUR = (110, 112, 116)


class LivePage:
    """Writes to the viewer."""

    def __init__(self, rig: Rig, save: Path | None = None, web: bool = False) -> None:
        """Open the viewer, or a file for it.

        Args:
            rig: names the microphones; until a picture arrives, its camera's view is a drawn road.
            save: ``.rrd`` file to write instead of opening a viewer.
            web: serve the page to a browser instead of opening a window.

        Raises:
            AvdetError: Rerun is not installed, there is no screen, or no viewer can be opened.
        """
        try:
            import rerun
            import rerun.blueprint as blueprint
        except ImportError as error:
            raise AvdetError(
                f'avdet view: expected the Rerun viewer, found none ({error}): {INSTALL}'
            ) from error
        if save is None and not web and not any(map(os.environ.get, SCREENS)):
            raise AvdetError(
                f'avdet view: expected a screen for the window, found none of {", ".join(SCREENS)}'
                ' set: --web serves a browser, --save FILE.rrd writes a file'
            )
        self._rr = rerun
        self.url = ''
        self._stream = rerun.RecordingStream('avdet')
        layout = _layout(blueprint)
        try:
            if save is not None:
                self._stream.save(save, default_blueprint=layout)
            elif web:
                server = self._stream.serve_grpc(default_blueprint=layout)
                rerun.serve_web_viewer(open_browser=False, connect_to=server)
                self.url = f'http://localhost:9090/?url={server}'
            else:
                self._stream.spawn(default_blueprint=layout)
        except (OSError, RuntimeError, ValueError) as error:
            raise AvdetError(f'avdet view: cannot open the viewer: {error}') from error
        road = self._to_scale(draw_road(rig.camera))
        self._stream.log('camera/picture', self._jpeg(road), static=True)
        self._ground_trails = GroundTrails()
        self._draw_ground(rig)
        for index, name in enumerate(rig.names):
            self._stream.log(f'level/{index}', rerun.SeriesLines(names=name), static=True)

    def at(self, stamp_ns: int) -> None:
        """Set the instant of everything that is shown next."""
        self._stream.set_time(TIMELINE, timestamp=stamp_ns * 1e-9)

    def picture(self, image: np.ndarray) -> None:
        """Show a camera's picture, (H, W, 3) or (H, W), any depth; unknown distances are black."""
        self._stream.log('camera/picture', self._jpeg(self._to_scale(eight_bit(image))))

    def heat(self, part: np.ndarray) -> None:
        """Overlay an attention map on the last picture.

        Args:
            part: (rows, columns) map over the picture, 0 to 1; an empty map removes the overlay.
        """
        if not part.size:
            self._stream.log('camera/attention', self._rr.Clear(recursive=False))
            return
        grey = (255 * np.clip(part, 0, 1)).astype(np.uint8)
        smooth = cv2.resize(grey, self._size_px, interpolation=cv2.INTER_LINEAR)
        overlay = self._jpeg(cv2.applyColorMap(smooth, cv2.COLORMAP_INFERNO), HEAT_OPACITY)
        self._stream.log('camera/attention', overlay)

    def boxes(self, name: str, boxes_px: np.ndarray, scores: np.ndarray, ids: list[str]) -> None:
        """Show boxes.

        Args:
            name: ``detections``, ``tracks`` or ``truth``.
            boxes_px: (N, 4).
            scores: (N,).
            ids: identities, '' if there is none.
        """
        finite = np.isfinite(boxes_px).all(axis=1)
        boxes_px = boxes_px[finite]
        pairs = [(i, s) for i, s, good in zip(ids, scores, finite, strict=True) if good]
        colours = [_TRUTH_COLOUR if name == 'truth' else _rgb(identity) for identity, _ in pairs]
        labels = [
            'true'
            if name == 'truth'
            else f'#{identity} {score:.2f}'
            if identity
            else f'{score:.2f}'
            for identity, score in pairs
        ]
        entity = self._rr.Boxes2D(
            array=boxes_px * self._scale,
            array_format=self._rr.Box2DFormat.XYXY,
            colors=colours,
            labels=labels,
        )
        self._stream.log(f'camera/{name}', entity)

    def ground(self, time_s: float, vehicles: list[Placed]) -> None:
        """Show vehicles from above: 90 % ellipses and trails in metres, ahead is up.

        Args:
            time_s: the instant at which they are valid.
            vehicles: vehicles with finite positions.
        """
        self._ground_trails.add(time_s, vehicles)
        numbers = [vehicle.track_id for vehicle in vehicles]
        self._stream.log(
            'above/ellipses',
            self._rr.LineStrips2D(
                [_upwards(vehicle.outline()) for vehicle in vehicles],
                colors=[_rgb(str(number)) for number in numbers],
                labels=[
                    f'#{vehicle.track_id} {np.hypot(*vehicle.place_m):.0f} m'
                    for vehicle in vehicles
                ],
            ),
        )
        trails = self._ground_trails.lines()
        self._stream.log(
            'above/trails',
            self._rr.LineStrips2D(
                [_upwards(line) for line in trails.values()],
                colors=[_rgb(str(number)) for number in trails],
            ),
        )

    def hidden(self, places_m: np.ndarray, ids: Sequence[int], words: Sequence[str]) -> None:
        """Show hidden vehicles from above: a line towards each, with a text.

        Args:
            places_m: (N, 2) x, y in base_link.
            ids: identities.
            words: text for each.
        """
        self._stream.log(
            'above/hidden',
            self._rr.LineStrips2D(
                [_upwards(np.array([[0.0, 0.0], place])) for place in places_m],
                colors=[_rgb(str(identity)) for identity in ids],
                labels=list(words),
            ),
        )

    def _draw_ground(self, rig: Rig) -> None:
        """Draw the static parts from above: distances, and the edges of the camera's image."""
        angles = np.linspace(0, 2 * np.pi, 97)
        circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        camera = rig.camera
        rays = camera.directions(np.array([[0.0, camera.cy], [camera.width_px, camera.cy]]))
        eye = camera.position_m[:2]
        edges = [np.array([eye, eye + RINGS_M[-1] * ray[:2]]) for ray in rays]
        lines = [_upwards(part) for part in (*(ring * circle for ring in RINGS_M), *edges)]
        labels = [f'{ring} m' for ring in RINGS_M] + ['', '']
        self._stream.log(
            'above/around',
            self._rr.LineStrips2D(lines, colors=[_AROUND_COLOUR] * len(lines), labels=labels),
            static=True,
        )

    def levels(self, samples: np.ndarray) -> None:
        """Plot each microphone's level, dB re full scale, from (n, 8) int16 or float32."""
        scale = 32768.0 if samples.dtype == np.int16 else 1.0
        power = np.mean((samples.astype(np.float32) / scale) ** 2, axis=0)
        for index, level in enumerate(10 * np.log10(np.maximum(power, 1e-10))):
            self._stream.log(f'level/{index}', self._rr.Scalars(float(level)))

    def sound(self, features: np.ndarray) -> None:
        """Show a window's log-mel levels, the mean of all microphones, high bands at the top."""
        level = np.nan_to_num(features[:MICROPHONES], nan=_SILENT_DB).mean(axis=0)[::-1]
        low, high = np.percentile(level, [5, 99.5])
        grey = np.clip((level - low) * (255 / max(high - low, 25.0)), 0, 255).astype(np.uint8)
        strip = cv2.applyColorMap(cv2.resize(grey, None, fx=4, fy=3), cv2.COLORMAP_INFERNO)
        self._stream.log('sound', self._jpeg(_shrunk(strip)))

    def number(self, name: str, value: float) -> None:
        """Plot a number, e.g. a latency in milliseconds."""
        if np.isfinite(value):
            self._stream.log(f'milliseconds/{name}', self._rr.Scalars(float(value)))

    def close(self) -> None:
        """Flush everything that has not reached the viewer yet."""
        self._stream.flush()

    def serve(self) -> None:
        """Wait for ever: the page is served as long as this process lives."""
        while True:
            time.sleep(1)

    def _to_scale(self, image: np.ndarray) -> np.ndarray:
        shrunk = _shrunk(image)
        self._scale = shrunk.shape[1] / image.shape[1]
        self._size_px = shrunk.shape[1], shrunk.shape[0]
        return shrunk

    def _jpeg(self, image: np.ndarray, opacity: float | None = None) -> Any:
        data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        return self._rr.EncodedImage(
            contents=data.tobytes(), media_type='image/jpeg', opacity=opacity
        )


def _shrunk(image: np.ndarray) -> np.ndarray:
    scale = LARGEST_SIDE_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    size = [max(1, round(scale * side)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _layout(blueprint: Any) -> Any:
    b = blueprint
    below = b.Horizontal(
        b.TimeSeriesView(name='level, dB', origin='level'),
        b.TimeSeriesView(name='milliseconds', origin='milliseconds'),
        b.Spatial2DView(name='the last second', origin='sound'),
    )
    above = b.Horizontal(
        b.Spatial2DView(name='heard in the picture', origin='camera'),
        b.Spatial2DView(name='from above, metres', origin='above'),
        column_shares=[2, 1],
    )
    return b.Blueprint(b.Vertical(above, below, row_shares=[3, 2]), collapse_panels=True)


def _upwards(places_m: np.ndarray) -> np.ndarray:
    """Positions in base_link, for a view whose y axis points down: ahead is up, left is left."""
    return np.stack([-places_m[:, 1], -places_m[:, 0]], axis=-1)


def _rgb(identity: str) -> tuple[int, int, int]:
    number = int(identity) if identity.isdecimal() and len(identity) < 10 else 0
    blue, green, red = colour(number)
    return int(red), int(green), int(blue)
