"""Speed of the array and air temperature for each window of a bag, as in the detector node."""

from __future__ import annotations

from collections import deque
from typing import Any

from avdet_ros.bags.left_out import LeftOut
from avdet_ros.bags.reader import Bag, decode
from avdet_ros.detection.moving_steering import USUAL_AIR_C, check_air
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import ODOMETRY, TEMPERATURE, decode_odometry, stamp_ns
from avdet_ros.tracking.ego_motion import EgoMotion, PlanarPose

_RESTART_NS = 5_000_000_000
"""A window that ends this much earlier than the previous one means that the stamps restarted."""


class BagMotion:
    """Speed and air temperature per window, the inputs of a model for any array besides the rig.

    Attributes:
        topic: the odometry topic; None if there is none.
        half_s: half the length of a window.
        first_ns: stamp of the first pose; None if there are no poses.
        airs: stamp and degrees Celsius of each air temperature message.
        left_out: unusable messages of both topics.
        windows_with_speed: number of windows with a known speed.
    """

    def __init__(
        self,
        bag: Bag,
        sound_topic: str,
        base_frame: str,
        window_s: float,
        odometry: str | None = None,
        air_c: float = USUAL_AIR_C,
    ) -> None:
        """Read the topics.

        Args:
            bag: the recording.
            sound_topic: topic of the sound; topics in its namespace take precedence.
            base_frame: the rig's frame.
            window_s: length of a window.
            odometry: the odometry topic; '' uses none, None looks for ``odom``.
            air_c: air temperature to use until the first recorded one.

        Raises:
            AvdetError: the topic does not exist or is ambiguous, or ``air_c`` is not a
                valid air temperature.
        """
        self.half_s, self._air_c = window_s / 2, check_air(air_c, 'air temperature')
        self.left_out = LeftOut(f'bag {bag.path}: motion')
        self.windows_with_speed = 0
        self._motion = EgoMotion()
        self._last_ns = 0
        self._recorded_c: float | None = None
        if odometry:
            self.topic: str | None = bag.require(odometry, ODOMETRY).name
        else:
            self.topic = None if odometry == '' else _find(bag, sound_topic, 'odom', ODOMETRY)
        self._poses: deque[tuple[int, float, float, float]] = deque()
        for decoded in self._decoded(bag, self.topic):
            try:
                pose = decode_odometry(decoded, base_frame, f'bag {bag.path}: {self.topic}')
            except AvdetError as error:
                self.left_out.add(error)
                continue
            self._poses.append((stamp_ns(decoded), *pose))
        self.first_ns = self._poses[0][0] if self._poses else None
        self.airs: list[tuple[int, float]] = []
        air = _find(bag, sound_topic, 'air_temperature', TEMPERATURE)
        for decoded in self._decoded(bag, air):
            try:
                celsius = check_air(decoded.temperature, f'bag {bag.path}: {air}')
            except AvdetError as error:
                self.left_out.add(error)
                continue
            self.airs.append((stamp_ns(decoded), celsius))
        self._airs = deque(self.airs)

    def at(self, end_ns: int) -> tuple[float, float]:
        """Return the forward speed in m/s, 0 if unknown, and the air temperature in Celsius.

        Args:
            end_ns: end of a window; call in the order of the windows.
        """
        speed_mps, air_c = self.known_at(end_ns)
        self.windows_with_speed += speed_mps is not None
        return speed_mps or 0.0, self._air_c if air_c is None else air_c

    def known_at(self, end_ns: int) -> tuple[float | None, float | None]:
        """Return the same as `at`, but None for unknown values."""
        _, speed_mps = self.in_middle(end_ns)
        while self._airs and self._airs[0][0] <= end_ns:
            self._recorded_c = self._airs.popleft()[1]
        return speed_mps, self._recorded_c

    def in_middle(self, end_ns: int) -> tuple[PlanarPose | None, float | None]:
        """Return pose (on the path without jumps) and speed at a window's middle, where known.

        Args:
            end_ns: end of the window; odometry up to here is used. Call in the order of the
                windows.
        """
        if end_ns < self._last_ns - _RESTART_NS:
            while self._poses and self._poses[0][0] > end_ns + _RESTART_NS:
                self._take()
        self._last_ns = end_ns
        while self._poses and self._poses[0][0] <= end_ns:
            self._take()
        middle_s = end_ns * 1e-9 - self.half_s
        return self._motion.at(middle_s), self._motion.speed_mps(middle_s)

    def _take(self) -> None:
        at_ns, x_m, y_m, yaw_rad = self._poses.popleft()
        try:
            if at_ns <= 0:
                raise AvdetError(f'odom: expected a stamp, found {at_ns} ns: left out')
            problem = self._motion.add(at_ns * 1e-9, x_m, y_m, yaw_rad)
        except AvdetError as error:
            problem = str(error)
        if problem:
            self.left_out.add(problem)
        else:
            self.left_out.good += 1

    def _decoded(self, bag: Bag, topic: str | None) -> Any:
        for message in bag.messages([topic]) if topic else ():
            try:
                yield decode(message)
            except AvdetError as error:
                self.left_out.add(error)


def _find(bag: Bag, sound_topic: str, name: str, msgtype: str) -> str | None:
    """Return the topic of this name in the sound's namespace, else the only one in the bag."""
    topic = bag.topics.get(f'{sound_topic.rsplit("/", 1)[0]}/{name}')
    if topic is not None and topic.count and topic.msgtype == msgtype:
        return topic.name
    return bag.find(name, msgtype)
