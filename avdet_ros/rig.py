"""The rig: positions and channels of the microphones, and projection of the camera.

Frames follow REP 103. ``base_link`` lies on the road, x forward, y left, z up; the camera's
optical frame has x right, y down, z forward. Azimuth is the angle about z from straight ahead,
left positive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation
import yaml

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Field
from avdet_ros.files import read_bounded
from avdet_ros.quoting import brief_key, brief_repr, one_line

MICROPHONES = 8
"""Number of microphones in the array. The front end and the model contract rely on it."""

SHORTEST_SPACING_M = 0.005
"""Smallest distance between two microphones; a smaller one suggests a copied line in the file."""

LARGEST_GAIN_DB = 40.0
"""Largest gain error of a channel; beyond it, the channel is broken, not miscalibrated."""

LARGEST_DELAY_S = 0.002
"""Largest delay of a channel in either direction; beyond it, it is on another card or clock."""

LEAST_ALIVE = 3
"""Minimum number of live microphones; fewer do not span a plane, so give no direction."""

LARGEST_RIG_BYTES = 1 << 20
"""Maximum size of a rig file."""

_OPTICAL_FROM_BODY = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


@dataclass(frozen=True)
class Camera:
    """A pinhole camera on the vehicle.

    Attributes:
        frame_id: name of the optical frame.
        width_px: image width.
        height_px: image height.
        fx: focal length along x, pixels.
        fy: focal length along y, pixels.
        cx: principal point x, pixels.
        cy: principal point y, pixels.
        position_m: (3,) float64, optical centre in base_link.
        rotation: (3, 3) float64, maps base_link directions to the optical frame.
    """

    frame_id: str
    width_px: int
    height_px: int
    fx: float
    fy: float
    cx: float
    cy: float
    position_m: np.ndarray
    rotation: np.ndarray

    def project(self, points_m: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Project points to pixels, x = K R (p - position) (pinhole model).

        Args:
            points_m: (..., 3) points in base_link.

        Returns:
            pixels: (..., 2) float64 x, y; meaningless where the depth is not positive.
            depth_m: (...) float64, distance along the optical axis.
        """
        optical = (np.asarray(points_m, np.float64) - self.position_m) @ self.rotation.T
        depth_m = optical[..., 2]
        safe = np.where(np.abs(depth_m) > 1e-9, depth_m, 1e-9)
        pixels = np.stack(
            [
                self.fx * optical[..., 0] / safe + self.cx,
                self.fy * optical[..., 1] / safe + self.cy,
            ],
            axis=-1,
        )
        return pixels, depth_m

    def directions(self, pixels: ArrayLike) -> np.ndarray:
        """Return unit vectors in base_link along the rays through pixels.

        Args:
            pixels: (..., 2) x, y.

        Returns:
            (..., 3) float64 unit vectors.
        """
        pixels = np.asarray(pixels, np.float64)
        optical = np.stack(
            [
                (pixels[..., 0] - self.cx) / self.fx,
                (pixels[..., 1] - self.cy) / self.fy,
                np.ones(pixels.shape[:-1]),
            ],
            axis=-1,
        )
        rays = optical @ self.rotation
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


@dataclass(frozen=True)
class Rig:
    """Microphones and camera of one vehicle.

    Attributes:
        frame_id: the vehicle's frame; all positions are in it.
        array_frame_id: the microphone array's frame.
        array_position_m: (3,) float64, centre of the array.
        array_yaw_deg: rotation of the array about z.
        names: the microphones' names.
        microphones_m: (8, 3) float64 positions in base_link.
        channels: (8,) int64, the sound card's channel of each microphone.
        sample_rate_hz: sample rate of the array.
        camera: the camera.
        gain_db: (8,) float64, how much louder each channel is than it should be.
        delay_s: (8,) float64, how much later each channel is than it should be.
        alive: (8,) bool, False for a microphone to be ignored.
    """

    frame_id: str
    array_frame_id: str
    array_position_m: np.ndarray
    array_yaw_deg: float
    names: tuple[str, ...]
    microphones_m: np.ndarray
    channels: np.ndarray
    sample_rate_hz: int
    camera: Camera
    gain_db: np.ndarray = field(default_factory=lambda: np.zeros(MICROPHONES))
    delay_s: np.ndarray = field(default_factory=lambda: np.zeros(MICROPHONES))
    alive: np.ndarray = field(default_factory=lambda: np.ones(MICROPHONES, bool))

    @property
    def device_channels(self) -> int:
        """Number of channels that a sound card must have: up to the highest one in use."""
        return int(self.channels.max()) + 1


def load_rig(path: str | Path | None = None) -> Rig:
    """Read and check a rig file.

    Args:
        path: a YAML file with the layout of ``config/rig.yaml``; None reads that file.

    Raises:
        AvdetError: the file cannot be read, or a value in it is missing or wrong; the message
            names file and key, what was expected and what was found.
    """
    path = Path(path) if path else default_rig_path()
    content = read_bounded(path, LARGEST_RIG_BYTES, 'rig file')
    try:
        tree = yaml.safe_load(content.decode())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise AvdetError(f'{path} is not YAML: {one_line(error, 300)}') from error
    return parse_rig(tree, where=str(path))


def default_rig_path() -> Path:
    """Return the rig file that ships with the package, in a checkout or an installed share."""
    from avdet_ros.paths import share

    return share('config/rig.yaml')


def parse_rig(tree: object, where: str = 'rig') -> Rig:
    """Check a rig given as the parsed content of a YAML file; see `load_rig`."""
    root = _Section(tree, where, ())
    root.only('frame_id', 'array', 'camera')
    array = root.section('array')
    array.only('frame_id', 'position_m', 'yaw_deg', 'sample_rate_hz', 'microphones')
    position = array.vector('position_m', 3)
    yaw_deg = array.number('yaw_deg', -360, 360, default=0.0)
    names, positions, channels = _microphones(array)
    gain_db, delay_s, alive = _channel_errors(array)
    turn = Rotation.from_euler('z', yaw_deg, degrees=True)
    return Rig(
        frame_id=root.text('frame_id', default='base_link'),
        array_frame_id=array.text('frame_id'),
        array_position_m=position,
        array_yaw_deg=yaw_deg,
        names=names,
        microphones_m=turn.apply(positions) + position,
        channels=channels,
        sample_rate_hz=array.integer('sample_rate_hz', 8000, 192000),
        camera=_camera(root.section('camera')),
        gain_db=gain_db,
        delay_s=delay_s,
        alive=alive,
    )


def _microphones(array: _Section) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    entries = array.value('microphones')
    if not isinstance(entries, list) or len(entries) != MICROPHONES:
        found = f'{len(entries)} entries' if isinstance(entries, list) else brief_repr(entries)
        raise array.error('microphones', f'a list of {MICROPHONES} microphones', found)
    names, positions, channels = [], [], []
    for index, entry in enumerate(entries):
        microphone = _Section(entry, array.where, (*array.path, f'microphones[{index}]'))
        microphone.only('name', 'channel', 'position_m', 'gain_db', 'delay_s', 'dead')
        names.append(microphone.text('name', default=f'microphone_{index}'))
        positions.append(microphone.vector('position_m', 3))
        channels.append(microphone.integer('channel', 0, 255))
        if channels[-1] in channels[:-1]:
            raise microphone.error('channel', 'a separate channel', f'{channels[-1]} twice')
        if names[-1] in names[:-1]:
            raise microphone.error('name', 'a unique name', f'{names[-1]!r} twice')
        for other, earlier in enumerate(positions[:-1]):
            if np.linalg.norm(positions[-1] - earlier) < SHORTEST_SPACING_M:
                raise microphone.error(
                    'position_m', 'a separate place', f'the place of microphones[{other}]'
                )
    return tuple(names), np.array(positions), np.array(channels)


def _channel_errors(array: _Section) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read gain, delay and `dead` of each channel; a plain rig file contains none of them."""
    gain_db, delay_s, alive = [], [], []
    entries = array.value('microphones')
    assert isinstance(entries, list)  # `_microphones` has checked it
    for index, entry in enumerate(entries):
        microphone = _Section(entry, array.where, (*array.path, f'microphones[{index}]'))
        gain_db.append(
            microphone.number('gain_db', -LARGEST_GAIN_DB, LARGEST_GAIN_DB, default=0.0)
        )
        delay_s.append(
            microphone.number('delay_s', -LARGEST_DELAY_S, LARGEST_DELAY_S, default=0.0)
        )
        alive.append(not microphone.flag('dead'))
    if sum(alive) < LEAST_ALIVE:
        raise array.error(
            'microphones', f'at least {LEAST_ALIVE} that are not dead', f'{sum(alive)}'
        )
    return np.array(gain_db), np.array(delay_s), np.array(alive)


def _camera(camera: _Section) -> Camera:
    angles = ('yaw_deg', 'pitch_deg', 'roll_deg')
    places = ('image_size_px', 'focal_px', 'principal_px', 'position_m')
    camera.only('frame_id', *places, *angles)
    width, height = camera.vector('image_size_px', 2)
    if not (16 <= width <= 16384 and 16 <= height <= 16384 and width % 1 == height % 1 == 0):
        raise camera.error(
            'image_size_px', 'two whole numbers from 16 to 16384', f'{width:g}, {height:g}'
        )
    fx, fy = camera.vector('focal_px', 2)
    if min(fx, fy) <= 0:
        raise camera.error('focal_px', 'two positive numbers', f'{fx:g}, {fy:g}')
    cx, cy = camera.vector('principal_px', 2)
    if not (0 <= cx <= width and 0 <= cy <= height):
        raise camera.error('principal_px', 'a point in the image', f'{cx:g}, {cy:g}')
    turns_deg = [camera.number(key, -180, 180, default=0.0) for key in angles]
    body = Rotation.from_euler('ZYX', turns_deg, degrees=True).as_matrix()
    return Camera(
        frame_id=camera.text('frame_id'),
        width_px=int(width),
        height_px=int(height),
        fx=fx,
        fy=fy,
        cx=cx,
        cy=cy,
        position_m=camera.vector('position_m', 3),
        rotation=_OPTICAL_FROM_BODY @ body.T,
    )


def yaw_pitch_roll_deg(rotation: np.ndarray) -> np.ndarray:
    """Return a camera's angles in degrees, as in a rig file; see `Camera.rotation`."""
    body = (_OPTICAL_FROM_BODY.T @ rotation).T
    return Rotation.from_matrix(body).as_euler('ZYX', degrees=True)


class _Section:
    """A mapping in the file together with its path, for errors that name the key."""

    def __init__(self, tree: object, where: str, path: tuple[str, ...]) -> None:
        self.where, self.path = where, path
        if not isinstance(tree, dict):
            place = '.'.join(path) or 'the file'
            raise AvdetError(
                f'{where}: {place}: expected keys with values, found {brief_repr(tree)}'
            )
        self.tree = tree

    def error(self, key: str, expected: str, found: str) -> AvdetError:
        place = '.'.join((*self.path, key))
        return AvdetError(f'{self.where}: {place}: expected {expected}, found {found}')

    def only(self, *keys: str) -> None:
        for key in self.tree:
            if key not in keys:
                raise self.error(brief_key(key), f'one of {", ".join(keys)}', 'an unknown key')

    def value(self, key: str) -> object:
        if key not in self.tree:
            raise self.error(key, 'a value', 'none: the key is missing')
        return self.tree[key]

    def section(self, key: str) -> _Section:
        return _Section(self.value(key), self.where, (*self.path, key))

    def text(self, key: str, default: str | None = None) -> str:
        if key not in self.tree and default is not None:
            return default
        value = self.value(key)
        if not isinstance(value, str) or not 1 <= len(value) <= 200:
            raise self.error(key, 'a name', brief_repr(value))
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        if key not in self.tree and default is not None:
            return default
        return self._checked(key, Field(float, low, high), self.value(key))

    def flag(self, key: str) -> bool:
        return self._checked(key, Field(bool), self.tree.get(key, False))

    def integer(self, key: str, low: int, high: int) -> int:
        return self._checked(key, Field(int, low, high), self.value(key))

    def _checked(self, key: str, field: Field, value: object) -> Any:
        return field.check(value, f'{self.where}: {".".join((*self.path, key))}')

    def vector(self, key: str, size: int) -> np.ndarray:
        value = self.value(key)
        expected = f'{size} finite numbers'
        if not isinstance(value, list) or len(value) != size:
            raise self.error(key, expected, brief_repr(value))
        if any(isinstance(item, bool) or not isinstance(item, int | float) for item in value):
            raise self.error(key, expected, brief_repr(value))
        vector = np.array([min(max(item, -1e9), 1e9) for item in value], np.float64)
        if not np.all(np.isfinite(vector)) or np.abs(vector).max() > 1e6:
            raise self.error(key, expected, brief_repr(value))
        return vector
