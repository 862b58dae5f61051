"""Pictures of a drive played live, at the instants at which a camera takes them."""

from __future__ import annotations

from bisect import bisect_left
import math
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from avdet_ros.dataset import layout
from avdet_ros.errors import AvdetError
from avdet_ros.simulation.live import LiveDrive
from avdet_ros.simulation.pictures import Conditions
from avdet_ros.simulation.scene import Scene

MODALITIES = ('rgb', 'thermal', 'depth')


class Footage(Protocol):
    """Pictures by drive time."""

    def instant(self, not_before_s: float) -> float | None:
        """Return the drive time of the first picture not before a time; None after the last."""

    def take(self, t_s: float, modalities: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return the pictures of an instant.

        Returns:
            By modality: ``rgb`` (H, W, 3) uint8 red first, ``thermal`` (H, W) uint16 counts,
            ``depth`` (H, W) float32 metres, NaN where unknown. Missing modalities are left out.
        """


def footage_of(drive: LiveDrive, rate_hz: float) -> Footage:
    """Return the pictures in a drive's folder, at their own rate, or render them.

    Args:
        drive: the drive that is played.
        rate_hz: rate of rendered pictures.

    Raises:
        AvdetError: the folder has no pictures.
    """
    if drive.folder is not None:
        return _Written(drive.folder)
    if drive.scene is None or drive.conditions is None:
        raise AvdetError(f'{drive.name}: expected a folder of pictures or a world, found neither')
    return _Rendered(drive.scene, drive.conditions, rate_hz, drive.duration_s)


class _Rendered:
    def __init__(
        self, scene: Scene, conditions: Conditions, rate_hz: float, duration_s: float
    ) -> None:
        from avdet_ros.simulation.pictures import Cameras

        self._cameras = Cameras(scene, conditions)
        self._rate_hz, self._duration_s = rate_hz, duration_s

    def instant(self, not_before_s: float) -> float | None:
        t_s = max(math.ceil(not_before_s * self._rate_hz - 1e-6), 0) / self._rate_hz
        return t_s if t_s <= self._duration_s else None

    def take(self, t_s: float, modalities: tuple[str, ...]) -> dict[str, np.ndarray]:
        found = {}
        if 'rgb' in modalities or 'depth' in modalities:
            picture = self._cameras.rgb.paint(t_s)
            found['rgb'] = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        if 'thermal' in modalities:
            found['thermal'] = self._cameras.thermal.paint(t_s)
        if 'depth' in modalities:
            # the stereo matcher depends on the RGB picture: it loses dark parts
            found['depth'] = _full(self._cameras.depth.paint(t_s, picture)[1], found['rgb'])
        return {name: found[name] for name in modalities}


class _Written:
    def __init__(self, drive: Path) -> None:
        kind, prefix, endings = layout.PICTURES['rgb']
        start_ns = int(layout.read_parameters(drive)['start_ns'])
        folder = drive / kind
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        ids = [
            layout.parse_id(f'{drive.name}/{path.stem.removeprefix(prefix)}')
            for path in paths
            if path.suffix in endings and path.stem.startswith(prefix)
        ]
        self._ids = sorted(frame for frame in ids if frame is not None)
        if not self._ids:
            raise AvdetError(f'{folder}: expected pictures, found none')
        self._times_s = [(frame.stamp_ns - start_ns) * 1e-9 for frame in self._ids]
        self._root = drive.parent

    def instant(self, not_before_s: float) -> float | None:
        index = bisect_left(self._times_s, not_before_s - 1e-6)
        return self._times_s[index] if index < len(self._times_s) else None

    def take(self, t_s: float, modalities: tuple[str, ...]) -> dict[str, np.ndarray]:
        frame = self._ids[bisect_left(self._times_s, t_s - 1e-6)]
        rgb = cv2.cvtColor(layout.read_picture(self._root, frame, 'rgb'), cv2.COLOR_BGR2RGB)
        found = {'rgb': rgb}
        if 'thermal' in modalities:
            found['thermal'] = layout.read_picture(self._root, frame, 'thermal')
        if 'depth' in modalities and layout.depth_path(self._root, frame).exists():
            found['depth'] = _full(layout.read_depth_m(self._root, frame), rgb)
        return {name: found[name] for name in modalities if name in found}


def _full(metres: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Enlarge depth to the picture's resolution, NaN where it is unknown (REP 118)."""
    size = rgb.shape[1::-1]
    large = cv2.resize(metres.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)
    return np.where(large > 0, large, np.float32(np.nan))
