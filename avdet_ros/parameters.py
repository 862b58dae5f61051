"""Every node's parameters: the one place that knows names, defaults, ranges and meanings.

Launch arguments, `avdet run` and the nodes themselves are made from these tables. Nothing here
needs ROS; `avdet_ros.nodes.parameter_server` declares them on a node.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import math
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import did_you_mean
from avdet_ros.sources.make import DEMO_SEED
from avdet_ros.tracking import DEFAULT_TRACKER, TRACKERS

LONGEST_TEXT = 4096
"""Characters of a text parameter: paths have at most as many."""


@dataclass(frozen=True)
class Param:
    """One parameter.

    Attributes:
        name: as ROS knows it.
        default: its type is the parameter's: bool, int, float, str or list of str.
        description: one sentence for people, with the unit.
        low: least value of a number.
        high: greatest value of a number.
        choices: the only texts allowed; for a list, of its items.
        live: may be changed while the node is active.
    """

    name: str
    default: bool | int | float | str | list[str]
    description: str
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def kind(self) -> type:
        """The type of its values."""
        return type(self.default)

    def check(self, value: Any) -> Any:
        """The value in the parameter's own type.

        Raises:
            AvdetError: it has another type, or lies outside the range or the choices.
        """
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if self.kind is list:
            return [self._text(item) for item in self._list(value)]
        if not isinstance(value, self.kind) or (self.kind is int and isinstance(value, bool)):
            raise self._error(value)
        if self.kind is str:
            return self._text(value)
        if self.kind in (int, float) and not self.low <= value <= self.high:
            raise self._error(value)
        return value

    def parse(self, text: str) -> Any:
        """The value that a command line's text stands for.

        Raises:
            AvdetError: as `check`.
        """
        words = {'true': True, 'false': False}
        try:
            if self.kind is bool:
                return words[text.lower()]
            if self.kind in (int, float):
                return self.check(self.kind(text))
        except (KeyError, ValueError):
            raise self._error(text) from None
        if self.kind is list:
            return self.check([item.strip() for item in text.split(',') if item.strip()])
        return self.check(text)

    def expected(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return ('some of ' if self.kind is list else 'one of ') + ', '.join(self.choices)
        names = {bool: 'true or false', str: 'a text', list: 'a list of texts',
                 int: 'a whole number', float: 'a number'}  # fmt: skip
        name = names[self.kind]
        if math.isfinite(self.low) and math.isfinite(self.high):
            return f'{name} from {self.low:g} to {self.high:g}'
        if math.isfinite(self.low):
            return f'{name} of at least {self.low:g}'
        return name

    def _list(self, value: Any) -> list:
        if isinstance(value, str) or not hasattr(value, '__iter__'):
            raise self._error(value)
        return list(value)

    def _text(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or '\0' in value:
            raise self._error(value)
        if self.choices and value not in self.choices:
            raise self._error(value)
        return value

    def _error(self, value: Any) -> AvdetError:
        return AvdetError(
            f'parameter {self.name}: expected {self.expected()}, found {str(value)[:80]!r}'
        )


def find(params: tuple[Param, ...], name: str) -> Param:
    """A parameter by name.

    Raises:
        AvdetError: there is none; the message names the nearest.
    """
    for param in params:
        if param.name == name:
            return param
    raise AvdetError(unknown(name, [param.name for param in params]))


def unknown(name: str, known: Iterable[str]) -> str:
    """That a name is unknown, and which is the nearest of the known ones."""
    return f'parameter {name}: expected a known name, found an unknown one' + did_you_mean(
        name, known
    )


SOURCES = ('device', 'file', 'simulation', 'topic')
"""Where sound can come from."""

COMMON = (
    Param('autostart', True, 'configure and activate by itself, and try again after a failure'),
    Param('rig', '', "file with microphones and camera; empty: the package's config/rig.yaml"),
)
"""Parameters of every node."""

SIMULATED = (
    Param('seed', DEMO_SEED, 'which simulated drive, for source simulation', 0, 2**31 - 1),
    Param('duration_s', 30.0, 'length of the simulated drive, seconds', 2, 86400),
    Param(
        'drive', '', 'folder of one drive of avdet simulate, played in place of seed and duration'
    ),
)
"""Which simulated drive is played: the same for who hears and who sees it."""

CAPTURE = (
    *COMMON,
    Param('source', 'device', 'where sound comes from', choices=SOURCES),
    Param('device', '', 'sound device: index, name or part of a name; empty: the system default'),
    Param('file', '', 'sound file of eight channels, for source file'),
    Param('loop', False, 'begin the file again when it ends'),
    *SIMULATED,
    Param('hop_s', 0.1, "seconds from one window's end to the next one's", 0.02, 1.0, live=True),
    Param('publish_audio', True, 'publish the sound itself on topic audio too', live=True),
    Param(
        'gap_windows',
        'drop',
        'windows in which samples were lost: drop them, or send them with zeros in the gap',
        choices=('drop', 'send'),
        live=True,
    ),
)
"""Parameters of node capture."""

DETECTOR = (
    *COMMON,
    Param('model', '', "ONNX model file; empty: the package's models/student.onnx"),
    Param(
        'providers',
        ['tensorrt', 'cuda', 'cpu'],
        'what the model may run on, preferred first',
        choices=('tensorrt', 'cuda', 'cpu'),
    ),
    Param('threads', 1, 'threads of one inference', 1, 64),
    Param('min_score', 0.05, 'detections with a lower score are not published', 0, 1, live=True),
    Param('max_detections', 100, 'at most so many detections a window', 1, 1000, live=True),
)
"""Parameters of node detector."""

TRACKER = (
    *COMMON,
    Param('tracker', DEFAULT_TRACKER, 'how boxes are linked', choices=tuple(TRACKERS), live=True),
    Param(
        'start_score',
        -1.0,
        "a detection above this score starts a track; -1: the tracker's own default",
        -1,
        1,
        live=True,
    ),
    Param(
        'iou_threshold',
        -1.0,
        "boxes that overlap by more are the same vehicle; -1: the tracker's own default",
        -1,
        1,
        live=True,
    ),
    Param(
        'label_offset_s',
        -0.5,
        "the model's avdet.label_offset_s: the instant of the boxes minus the window's end, "
        "seconds; latencies are counted from the window's end",
        -60,
        60,
        live=True,
    ),
    Param('max_detections', 300, 'only so many best detections are tracked', 1, 1000, live=True),
)
"""Parameters of node tracker."""

OVERLAY = (
    *COMMON,
    Param('max_rate_hz', 10.0, 'pictures a second at most', 0.1, 60, live=True),
    Param('scale', 1.0, "size of the picture, times the camera's", 0.1, 1, live=True),
    Param('trail_s', 3.0, 'seconds of the past drawn behind a vehicle', 0, 60, live=True),
    Param('image_timeout_s', 0.5, 'a camera image older than this is not drawn', 0.05, 60),
)
"""Parameters of node overlay."""

RECORDER = (
    *COMMON[:1],
    Param('path', '', 'folder of the bag to write; it must not exist'),
    Param(
        'topics',
        [
            'audio',
            'detections',
            'tracks',
            'truth',
            'label_info',
            'debug/latency_ms',
            'image',
            'camera_info',
            '/tf_static',
        ],
        'what is recorded, relative or full names; spectrogram would add 18 MB a second',
    ),
)
"""Parameters of node recorder."""

CAMERA = (
    *COMMON,
    *SIMULATED,
    Param('rate_hz', 5.0, 'pictures a second, of a drive that is rendered', 0.1, 30),
    Param(
        'modalities',
        ['rgb'],
        'which pictures: camera/image_raw, thermal/image_raw, depth/image_raw',
        choices=('rgb', 'thermal', 'depth'),
    ),
)
"""Parameters of node camera."""

NODES = {
    'camera': CAMERA,
    'capture': CAPTURE,
    'detector': DETECTOR,
    'tracker': TRACKER,
    'overlay': OVERLAY,
    'recorder': RECORDER,
}
"""Parameters by node."""
