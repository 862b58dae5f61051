"""The camera of the live pictures: remove lens distortion, and compare it with the rig's camera.

Boxes refer to the rectified picture of the rig's pinhole camera. The ``camera_info`` describes the
pictures that actually arrive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from avdet_ros.bags.camera_info import is_calibrated, is_rectified, model_of
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Camera

FOCAL_PART = 0.02
"""Largest relative deviation of the focal length, as in a model's contract."""

PRINCIPAL_PART = 0.01
"""Largest deviation of the principal point, as a fraction of the width."""


class PictureCamera:
    """What is known about the camera of one topic of pictures.

    Attributes:
        lens: what is known about its lens, a few words for diagnostics.
        problem: how it differs from the rig's camera, '' if it does not or nothing is known.
    """

    def __init__(self, camera: Camera, image_topic: str, info_topic: str) -> None:
        """Begin without a ``camera_info``.

        Args:
            camera: the rig's camera.
            image_topic: full name, which shows whether the pictures are already rectified.
            info_topic: full name, for messages.
        """
        self._camera, self._topic = camera, info_topic
        self._is_rectified = is_rectified(image_topic)
        self._info: Any = None
        self._source: tuple[Any, ...] = ()
        self._undistort: Callable[[np.ndarray], np.ndarray] | None = None
        self.lens, self.problem = 'no camera_info: taken as rectified', ''

    def take(self, info: Any) -> None:
        """Store a ``camera_info``; it is evaluated with the next picture."""
        self._info = info

    def rectified(self, picture: np.ndarray) -> np.ndarray:
        """Return a picture without lens distortion, as far as that is known."""
        info = self._info
        if info is None:
            return picture
        size = (picture.shape[1], picture.shape[0])
        source = (size, info.width, info.height, tuple(info.k), tuple(info.d), tuple(info.p))
        if source != self._source:
            self._source = source
            self._look_at(info, size)
        return picture if self._undistort is None else self._undistort(picture)

    def _look_at(self, info: Any, size: tuple[int, int]) -> None:
        self._undistort, self.problem = None, ''
        if not is_calibrated(info):
            self.lens = 'camera_info without calibration: taken as rectified'
            return
        try:
            model = model_of(info, size, self._is_rectified, self._topic)
        except AvdetError as error:
            self.lens, self.problem = 'camera_info cannot be used: taken as rectified', str(error)
            return
        self.lens = 'already rectified'
        if model.distortion.any():
            self._undistort, self.lens = model.undistort(), 'rectified here'
        self.problem = self._difference(model.matrix, size)

    def _difference(self, matrix: np.ndarray, size: tuple[int, int]) -> str:
        """Describe how a matrix differs from the rig's, for pictures of this size."""
        camera = self._camera
        scale = np.array([size[0] / camera.width_px, size[1] / camera.height_px])
        for quantity, rig_value, info_value, limit in (
            ('focal length', (camera.fx, camera.fy), matrix[[0, 1], [0, 1]], FOCAL_PART),
            ('principal point', (camera.cx, camera.cy), matrix[:2, 2], PRINCIPAL_PART),
        ):
            expected = scale * rig_value
            reference = expected if quantity == 'focal length' else size[0]
            if (np.abs(info_value - expected) / reference).max() > limit:
                return (
                    f'{self._topic}: expected {quantity} ({expected[0]:.0f}, {expected[1]:.0f}) '
                    f'px as the rig says, found ({info_value[0]:.0f}, {info_value[1]:.0f}): boxes '
                    'do not lie on their vehicles'
                )
        return ''
