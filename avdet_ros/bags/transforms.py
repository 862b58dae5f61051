"""The static transforms of a bag: poses between two frames, and why one is not available.

The TF trees of other vehicles contain much that is not needed here and may be broken: rotations of
zeros, frames that are their own parents, loops. Only the transforms between the two requested
frames matter, and a reason is given if the frames are not connected.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any
import warnings

import numpy as np
from scipy.spatial.transform import Rotation

from avdet_ros.bags.left_out import whole_messages
from avdet_ros.bags.reader import Bag
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import TRANSFORMS
from avdet_ros.quoting import brief_key

BODY_FROM_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Axes of an optical frame (x right, z forward) in a body frame (x forward, z up)."""

STEEPEST_DEG = 60.0
"""A frame in which a camera would look further up or down than this is not an optical frame."""

_TOPIC = '/tf_static'
_LONGEST_CHAIN = 64
_NAMED = 6


class StaticTransforms:
    """The transforms of ``/tf_static``, from a bag or live."""

    def __init__(self, bag: Bag | None = None) -> None:
        """Read a bag's ``/tf_static``; without the topic or a bag, there are no transforms yet."""
        self._parents: dict[str, tuple[str, np.ndarray]] = {}
        self._broken: dict[str, str] = {}
        self._housing_frames: set[str] = set()
        self._why_empty = f'no message on {_TOPIC}'
        if bag is None:
            return
        topic = bag.topics.get(_TOPIC)
        self._why_empty = f'the bag has no {_TOPIC}'
        if topic is None or not topic.count:
            return
        try:
            bag.require(_TOPIC, TRANSFORMS)
        except AvdetError as error:
            self._why_empty = str(error)
            return
        for message in whole_messages(bag, _TOPIC):
            self.add(message)

    def add(self, message: Any) -> None:
        """Add a ``tf2_msgs/TFMessage``; it replaces earlier transforms of the same frames."""
        for entry in message.transforms:
            self._take(entry)

    def pose(self, parent: str, child: str) -> np.ndarray | None:
        """Return the pose of one frame in another.

        Returns:
            (4, 4) float64 that maps coordinates in ``child`` to ``parent``; None if the
            transforms do not connect them, see `why_not`.
        """
        parent, child = parent.lstrip('/'), child.lstrip('/')
        up, down = self._to_root(parent), self._to_root(child)
        for frame, pose in down.items():
            if frame in up:
                return np.linalg.inv(up[frame]) @ pose
        return None

    def why_not(self, parent: str, child: str) -> str:
        """Explain why `pose` returns None."""
        if not self._parents and not self._broken:
            return self._why_empty
        parent, child = parent.lstrip('/'), child.lstrip('/')
        for frame in (child, parent):
            chain = self._chain(frame)
            if chain[-1] in chain[:-1]:
                return f'{_TOPIC} contains a loop: {_arrows(chain)}'
            if chain[-1] in self._broken:
                return f'{_TOPIC}: {self._broken[chain[-1]]}'
        known = {*self._parents, *(above for above, _ in self._parents.values())}
        if child not in known:
            return f'{_TOPIC} has no frame {brief_key(child)}, only {_names(known)}'
        root = self._chain(child)[-1]
        if parent not in known:
            return (
                f'{_TOPIC} connects {brief_key(child)} with {brief_key(root)} and has no '
                f'{brief_key(parent)}, the frame of the rig file'
            )
        return (
            f'{_TOPIC} has two trees: {brief_key(child)} is below {brief_key(root)}, '
            f'{brief_key(parent)} below {brief_key(self._chain(parent)[-1])}'
        )

    def has(self, frame: str) -> bool:
        """Return whether there is a transform of a frame, valid or broken."""
        frame = frame.lstrip('/')
        return frame in self._parents or frame in self._broken

    def camera_pose(self, vehicle: str, frame: str) -> tuple[np.ndarray | None, str]:
        """Return the pose of a camera with optical axes, whichever axes its frame has.

        Some drivers stamp pictures with the frame of the housing, x forward. As an optical frame
        it would look at the sky, so it is recognised and turned.

        Args:
            vehicle: the rig's frame.
            frame: frame_id of the camera's pictures.

        Returns:
            pose: (4, 4), see `pose`; None if unknown.
            note: why it is unknown or how it was changed; '' if it was used unchanged.
        """
        pose = self.pose(vehicle, frame)
        if pose is None:
            return None, self.why_not(vehicle, frame)
        steep = _elevation_deg(pose[:3, 2])
        if abs(steep) <= STEEPEST_DEG:
            return pose, ''
        if abs(_elevation_deg(pose[:3, 0])) <= STEEPEST_DEG:
            self._housing_frames.add(frame.lstrip('/'))
            optical = pose.copy()
            optical[:3, :3] = pose[:3, :3] @ BODY_FROM_OPTICAL
            return optical, (
                f'{brief_key(frame)} is no optical frame, as one it would look '
                f'{"up" if steep > 0 else "down"}: taken with x forward'
            )
        direction = 'at the sky' if steep > 0 else 'at the ground'
        return (
            pose,
            f'{brief_key(frame)} looks {direction} ({steep:.0f} degrees): is it the camera?',
        )

    def turn(self, frame: str, other: str) -> np.ndarray | None:
        """(3, 3) rotation from `other`'s optical axes to `frame`'s; None if not connected.

        Frames that `camera_pose` recognised as housing frames are turned. So is the frame of the
        other camera if it looks the same way as the first only when read as a housing frame.
        """
        pose = self.pose(frame, other)
        if pose is None:
            return None
        turn = pose[:3, :3]
        if frame.lstrip('/') in self._housing_frames:
            turn = BODY_FROM_OPTICAL.T @ turn
        as_housing = turn @ BODY_FROM_OPTICAL
        if other.lstrip('/') in self._housing_frames or (
            turn[2, 2] < 0.5 and as_housing[2, 2] > 0.5
        ):
            return as_housing
        return turn

    def _take(self, entry: Any) -> None:
        child, parent = entry.child_frame_id.lstrip('/'), entry.header.frame_id.lstrip('/')
        turn, shift = entry.transform.rotation, entry.transform.translation
        quaternion = np.array([turn.x, turn.y, turn.z, turn.w], float)
        place = np.array([shift.x, shift.y, shift.z], float)
        norm = float(np.linalg.norm(quaternion))
        expected = f'expected a pose of {brief_key(child)} in {brief_key(parent)}'
        self._parents.pop(child, None)
        self._broken.pop(child, None)
        if child == parent:
            self._broken[child] = f'expected another parent of {brief_key(child)}, found itself'
        elif not np.isfinite(place).all() or not np.isfinite(norm):
            self._broken[child] = f'{expected}, found NaN or infinity'
        elif not 0.5 < norm < 2:
            self._broken[child] = f'{expected}, found a quaternion of length {norm:g}'
        else:
            pose = np.eye(4)
            pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
            pose[:3, 3] = place
            self._parents[child] = (parent, pose)

    def _chain(self, frame: str) -> list[str]:
        """Return a frame and its ancestors, up to the root or the first repeated frame."""
        chain = [frame]
        while chain[-1] in self._parents and len(chain) < _LONGEST_CHAIN:
            above = self._parents[chain[-1]][0]
            chain.append(above)
            if above in chain[:-1]:
                break
        return chain

    def _to_root(self, frame: str) -> dict[str, np.ndarray]:
        """Return the pose of a frame in each of its ancestors, nearest first, up to a loop."""
        chain = self._chain(frame)
        if chain[-1] in chain[:-1]:
            chain = chain[: chain.index(chain[-1])]
        found, pose = {frame: np.eye(4)}, np.eye(4)
        for below, above in itertools.pairwise(chain):
            pose = self._parents[below][1] @ pose
            found[above] = pose
        return found if chain else {}


def put_poses(
    tree: dict[str, Any],
    rig_frame: str,
    array_frame: str,
    transforms: StaticTransforms,
    rig_path: Path | None,
) -> list[str]:
    """Write the poses known from a bag into the content of a rig file.

    Args:
        tree: content of the rig file; changed in place.
        rig_frame: the vehicle's frame.
        array_frame: the microphones' frame.
        transforms: static transforms of the bag.
        rig_path: the rig file that the user named, or None.

    Returns:
        Sentences for the user about poses that do not come from the bag.
    """
    notes = []
    frame = tree['camera']['frame_id']
    pose, note = transforms.camera_pose(rig_frame, frame)
    if pose is not None:
        # Rig files give the camera's rotation as yaw, pitch and roll of a body frame.
        yaw, pitch, roll = _angles_deg(pose[:3, :3] @ BODY_FROM_OPTICAL.T)
        tree['camera'].update(
            position_m=[float(x) for x in pose[:3, 3]], yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll
        )
        if note:
            notes.append(f'pose of the camera: {note}')
    elif rig_path is None:
        notes.append(
            f'pose of the camera: that of the example rig file, since {note}; name a rig file '
            'that has it, or whose frame_id is the root'
        )
    elif transforms.has(frame):
        notes.append(f'pose of the camera: that of {rig_path}, since {note}')
    pose = transforms.pose(rig_frame, array_frame)
    if pose is not None:
        yaw = _angles_deg(pose[:3, :3])[0]
        tree['array'].update(position_m=[float(x) for x in pose[:3, 3]], yaw_deg=yaw)
    elif transforms.has(array_frame):
        source = rig_path or 'the example rig file'
        why = transforms.why_not(rig_frame, array_frame)
        notes.append(f'pose of the microphones: that of {source}, since {why}')
    return notes


def _angles_deg(rotation: np.ndarray) -> tuple[float, float, float]:
    """Return yaw, pitch and roll of a body frame, degrees."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # gimbal lock when looking straight up or down
        yaw, pitch, roll = Rotation.from_matrix(rotation).as_euler('ZYX', degrees=True)
    return float(yaw), float(pitch), float(roll)


def _elevation_deg(direction: np.ndarray) -> float:
    return float(np.degrees(np.arcsin(np.clip(direction[2], -1, 1))))


def _arrows(frames: list[str]) -> str:
    return ' -> '.join(brief_key(frame) for frame in frames[-_NAMED:])


def _names(frames: set[str]) -> str:
    names = [brief_key(frame) for frame in sorted(frames)]
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return ', '.join(names[:_NAMED]) + more
