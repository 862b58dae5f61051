"""The three cameras of a drive together."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

import cv2
import numpy as np

from avdet_ros.simulation.pictures.conditions import Conditions
from avdet_ros.simulation.pictures.depth import DepthCamera
from avdet_ros.simulation.pictures.rgb import RgbCamera
from avdet_ros.simulation.pictures.thermal import ThermalCamera
from avdet_ros.simulation.pictures.world import World
from avdet_ros.simulation.scene import Scene


@dataclass(frozen=True, eq=False)
class Frame:
    """One instant in all modalities.

    Attributes:
        time_s: drive time.
        rgb: (H, W, 3) uint8 BGR.
        thermal: (H, W) uint16 counts, see thermal.py.
        depth: (H, W, 3) uint8 BGR, colour-coded disparity, see depth.py.
        depth_m: (H / 2, W / 2) float16 metres along the optical axis, 0 where unknown.
        pixels: number of RGB pixels that show each vehicle, by identity (to within 4 pixels).
    """

    time_s: float
    rgb: np.ndarray
    thermal: np.ndarray
    depth: np.ndarray
    depth_m: np.ndarray
    pixels: dict[int, int]


class Cameras:
    """Renders the pictures of a drive at any time.

    Args:
        scene: the drive.
        conditions: light and weather; the same scene and conditions give the same pictures.
    """

    def __init__(self, scene: Scene, conditions: Conditions) -> None:
        self.world = World(scene, conditions)
        self.rgb = RgbCamera(self.world)
        self.thermal = ThermalCamera(self.world, self.rgb.ground_light, self.rgb.land)
        self.depth = DepthCamera(self.world)

    def frame(self, t_s: float, without: frozenset[int] = frozenset()) -> Frame:
        """Render all pictures of an instant.

        Args:
            t_s: drive time.
            without: identities of vehicles to leave out, for checks.
        """
        rgb = self.rgb.paint(t_s, without)
        thermal = self.thermal.paint(t_s, without)
        depth, depth_m = self.depth.paint(t_s, rgb, without)
        return Frame(float(t_s), rgb, thermal, depth, depth_m, self.pixels(t_s, without))

    def pixels(self, t_s: float, without: frozenset[int] = frozenset()) -> dict[int, int]:
        """Return the number of pixels of each visible vehicle, by identity."""
        composed = self.world.compose(t_s, without)
        owner = composed.look_up(composed.owner, -1)
        counts = np.bincount(owner[owner >= 0], minlength=len(composed.vehicles))
        return {
            placed.vehicle_id: 4 * int(count)
            for placed, count in zip(composed.vehicles, counts, strict=True)
            if count
        }


_recent: OrderedDict[tuple[int, Conditions], tuple[Scene, RgbCamera]] = OrderedDict()
_lock = Lock()


def render_rgb(scene: Scene, conditions: Conditions, t_s: float) -> np.ndarray:
    """Render the RGB picture of a drive at an instant, for live display.

    The world of a drive is built for its first picture and cached for the latest few drives.

    Returns:
        (H, W, 3) uint8, red first.
    """
    key = id(scene), conditions
    with _lock:
        if key not in _recent:
            _recent[key] = scene, RgbCamera(World(scene, conditions))
        _recent.move_to_end(key)
        while len(_recent) > 3:
            _recent.popitem(last=False)
        picture = _recent[key][1].paint(t_s)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
