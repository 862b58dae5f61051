"""The camera's pictures of the last seconds, since boxes are valid for a past instant."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import time
from typing import Any

import cv2
import numpy as np

from avdet_ros.drawing.eight_bit import eight_bit
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import decode_picture, stamp_ns
from avdet_ros.nodes import diagnostics
from avdet_ros.nodes.picture_camera import PictureCamera
from avdet_ros.nodes.topic_health import SILENT_AFTER_S, StreamPulse
from avdet_ros.rig import Camera

_KEPT = 20
_TRIED = 3
_STEP_NS = 80_000_000
_SHAPE = 0.02


class LivePictures:
    """Keeps undecoded pictures and returns the one of an instant as the rig's camera sees it.

    Attributes:
        kept: messages with their time of arrival, `time.monotonic`; the newest last.
        camera: what is known about the pictures' camera.
    """

    def __init__(
        self, camera: Camera, topic: str, info_topic: str, refuse: Callable[[str, str], None]
    ) -> None:
        """Begin without pictures.

        Args:
            camera: the rig's camera.
            topic: full name of the pictures' topic.
            info_topic: full name of the topic of their ``camera_info``.
            refuse: reports a problem by a short name and a sentence.
        """
        self.kept: deque[tuple[float, Any]] = deque(maxlen=_KEPT)
        self.camera = PictureCamera(camera, topic, info_topic)
        self._rig_camera, self._topic, self._refuse = camera, topic, refuse
        self._pulse = StreamPulse()
        self._unread = ''

    def add(self, message: Any) -> None:
        """Keep a picture; at high rates only some are kept."""
        self._pulse.add()
        instant_ns = stamp_ns(message)
        if instant_ns <= 0:
            topic = self._topic
            self._refuse(
                'image', f'{topic}: expected a stamp in the header, found {instant_ns} ns'
            )
            return
        stamps = [stamp_ns(image) for _, image in list(self.kept)[-2:]]
        if stamps and instant_ns < stamps[-1]:
            self.kept.clear()
        elif len(stamps) == 2 and stamps[1] - stamps[0] < _STEP_NS:
            self.kept.pop()
        self.kept.append((time.monotonic(), message))

    def at(self, instant_ns: int, timeout_s: float) -> np.ndarray | None:
        """Return the picture closest to an instant, or None if no pictures arrive.

        Args:
            instant_ns: ROS time.
            timeout_s: age of the newest picture above which none is returned.

        Returns:
            (H, W, 3) uint8 BGR, rectified.
        """
        kept = list(self.kept)
        if not kept or time.monotonic() - kept[-1][0] > timeout_s:
            return None
        kept.sort(key=lambda entry: abs(stamp_ns(entry[1]) - instant_ns))
        problem = ''
        for _, message in kept[:_TRIED]:  # a broken picture is not the camera's end
            try:
                picture = eight_bit(decode_picture(message, self._topic))
            except AvdetError as error:
                problem = problem or str(error)
                continue
            self._unread = ''
            self._check_shape(*picture.shape[1::-1])
            picture = self.camera.rectified(picture)
            if self.camera.problem:
                self._refuse('camera_info', self.camera.problem)
            return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
        self._unread = problem
        self._refuse('image', problem)
        return None

    def why_none(self) -> str:
        """Return in a few words what is drawn instead of a picture, and why."""
        if self._unread and self.kept:
            return 'camera cannot be read: drawn road'
        return 'no camera: drawn road'

    def _check_shape(self, width_px: int, height_px: int) -> None:
        """Report pictures whose aspect ratio is not the rig's; they may be scaled."""
        camera = self._rig_camera
        if abs(width_px * camera.height_px / (height_px * camera.width_px) - 1) > _SHAPE:
            self._refuse(
                'shape',
                f'image: expected pictures of {camera.width_px} x {camera.height_px}, or these '
                f'scaled, as the rig says, found {width_px} x {height_px}: boxes do not fit them',
            )

    def diagnose(
        self,
        report: diagnostics.Report,
        why_silent: Callable[[float], str],
        clock_still: bool,
        ended: bool,
    ) -> str:
        """Return in a few words whether pictures arrive; report a camera that has stopped.

        Args:
            report: receives the warning.
            why_silent: explains why nothing has arrived for a number of seconds.
            clock_still: whether ROS time stands still, so that no pictures are expected.
            ended: whether the drive is over, as a simulated one may be.
        """
        since_s = self._pulse.since_s
        live = f'not readable, drawn road: {self._unread}' if self._unread else 'live'
        if not self.kept:
            return 'none, drawn road'
        if clock_still or since_s < SILENT_AFTER_S / 2:
            return live
        why = why_silent(since_s)
        if since_s < SILENT_AFTER_S:
            return live
        if self._pulse.has_stopped and not ended:
            report.warn(f'the camera has stopped: {why}')
        return f'none for {since_s:.0f} s, drawn road'
