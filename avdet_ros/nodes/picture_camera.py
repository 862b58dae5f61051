"""The camera behind the live pictures: its lens taken out, and whether it is the rig's.

Boxes lie on the rectified picture of the rig's pinhole camera. What the pictures are, their
``camera_info`` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from avdet_ros.bags.camera_info import is_calibrated, is_rectified, model_of
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Camera

FOCAL_PART = 0.02
"""How much another focal length may be, in parts: as of a model's contract."""

PRINCIPAL_PART = 0.01
"""How far the principal point may lie away, in parts of the width."""


class PictureCamera:
    """What is known of the pictures' camera, for one topic of pictures.

    Attributes:
        known: how its lens is known, a few words for diagnostics.
        problem: in what it is not the rig's camera, '' where it is or nothing is known.
    """

    def __init__(self, camera: Camera, image_topic: str, info_topic: str) -> None:
        """Know nothing yet.

        Args:
            camera: the rig's.
            image_topic: full name, which tells whether the pictures are rectified already.
            info_topic: full name, for sentences.
        """
        self._camera, self._topic = camera, info_topic
        self._is_rectified = is_rectified(image_topic)
        self._info: Any = None
        self._made_of: tuple[Any, ...] = ()
        self._undistort: Callable[[np.ndarray], np.ndarray] | None = None
        self.known, self.problem = 'no camera_info: taken as rectified', ''

    def take(self, info: Any) -> None:
        """Take a ``camera_info``; it is looked at with the next picture."""
        self._info = info

    def rectified(self, picture: np.ndarray) -> np.ndarray:
        """A picture without its lens's distortion, as far as that is known."""
        info = self._info
        if info is None:
            return picture
        size = (picture.shape[1], picture.shape[0])
        made_of = (size, info.width, info.height, tuple(info.k), tuple(info.d), tuple(info.p))
        if made_of != self._made_of:
            self._made_of = made_of
            self._look_at(info, size)
        return picture if self._undistort is None else self._undistort(picture)

    def _look_at(self, info: Any, size: tuple[int, int]) -> None:
        self._undistort, self.problem = None, ''
        if not is_calibrated(info):
            self.known = 'camera_info without calibration: taken as rectified'
            return
        try:
            model = model_of(info, size, self._is_rectified, self._topic)
        except AvdetError as error:
            self.known, self.problem = 'camera_info cannot be used: taken as rectified', str(error)
            return
        self.known = 'rectified as it comes'
        if model.distortion.any():
            self._undistort, self.known = model.undistort(), 'rectified here'
        self.problem = self._difference(model.matrix, size)

    def _difference(self, matrix: np.ndarray, size: tuple[int, int]) -> str:
        """In what a matrix is not the rig's, for pictures of this size."""
        camera = self._camera
        scale = np.array([size[0] / camera.width_px, size[1] / camera.height_px])
        for what, ours, theirs, most in (
            ('focal length', (camera.fx, camera.fy), matrix[[0, 1], [0, 1]], FOCAL_PART),
            ('principal point', (camera.cx, camera.cy), matrix[:2, 2], PRINCIPAL_PART),
        ):
            wanted = scale * ours
            whole = wanted if what == 'focal length' else size[0]
            if (np.abs(theirs - wanted) / whole).max() > most:
                return (
                    f'{self._topic}: expected {what} ({wanted[0]:.0f}, {wanted[1]:.0f}) px as the '
                    f'rig says, found ({theirs[0]:.0f}, {theirs[1]:.0f}): boxes do not lie on '
                    'what they mean'
                )
        return ''
