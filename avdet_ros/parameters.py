"""Every node's parameters: the single definition of names, defaults, ranges and meanings.

Launch arguments, `avdet run` and the nodes themselves use these tables. Nothing here needs ROS;
`avdet_ros.nodes.parameter_server` declares the parameters on a node.
"""

from __future__ import annotations

import logging

from avdet_ros.audio.window import HOP_S
from avdet_ros.detection.contract import LABEL_OFFSET_S
from avdet_ros.detection.moving_steering import AIR_C, USUAL_AIR_C
from avdet_ros.fields import Param
from avdet_ros.sources.base import SOURCES
from avdet_ros.sources.simulated import SimulationSource
from avdet_ros.tracking import DEFAULT_TRACKER, TRACKERS

_logger = logging.getLogger(__name__)

TOPIC = 'topic'
"""The source without a class: sound that another node publishes."""

COMMON = (
    Param('autostart', True, 'configure and activate automatically, and retry after a failure'),
    Param('rig', '', "rig file with microphones and camera; empty: the package's config/rig.yaml"),
)
"""Parameters of every node."""

REAL_TIME = Param(
    'real_time_priority',
    0,
    "SCHED_FIFO priority requested for the node's threads; 0: none; diagnostics report a refusal",
    0,
    99,
)
"""Parameter of the nodes that turn sound into tracks."""

SIMULATED = SimulationSource.parameters
"""Parameters that choose the simulated drive, shared by nodes capture and camera."""


def _source_parameters() -> tuple[Param, ...]:
    """Parameters of all sources, each name once."""
    found: dict[str, Param] = {}
    for source in SOURCES.classes():
        for param in source.parameters:
            if found.setdefault(param.name, param) != param:
                _logger.warning(
                    'source %s: parameter %s: expected a unique name, found that of another '
                    'source, whose default and range it gets',
                    source.name,
                    param.name,
                )
    return tuple(found.values())


OF_SOURCES = _source_parameters()
"""Parameters of the sources, see `avdet_ros.sources.base.Source.parameters`."""

EGO_MOTION = (
    Param(
        'ego_motion',
        'odometry',
        "source of the ego vehicle's motion: topic odom, /tf, or none; used by tracker ground and "
        'by the steering of a model for any array',
        choices=('odometry', 'tf', 'none'),
    ),
    Param('odom_frame', 'odom', 'fixed frame in which the rig moves, for ego_motion tf'),
)
"""Parameters of the nodes that use the ego vehicle's motion."""

CAPTURE = (
    *COMMON,
    REAL_TIME,
    Param('source', 'device', 'where sound comes from', choices=(*SOURCES.names(), TOPIC)),
    *OF_SOURCES,
    Param(
        'model',
        '',
        "the detector's model, which determines the features to compute; empty: the package's "
        'models/student.onnx',
    ),
    Param('hop_s', HOP_S, 'seconds between the ends of successive windows', 0.02, 1.0, live=True),
    Param('publish_audio', True, 'also publish the sound itself, on topic audio', live=True),
    Param(
        'gap_windows',
        'drop',
        'whether to drop windows with lost samples, or send them with zeros in the gap',
        choices=('drop', 'send'),
        live=True,
    ),
    Param(
        'array_watch_s',
        300.0,
        'seconds of sound between two checks of the array; 0: no checks, otherwise at least 60',
        0,
        86400,
    ),
    Param(
        'auto_calibrate',
        False,
        'if a check finds that the array has changed, use its estimate instead of the rig file',
        live=True,
    ),
)
"""Parameters of node capture."""

DETECTOR = (
    *COMMON,
    REAL_TIME,
    Param('model', '', "ONNX model file; empty: the package's models/student.onnx"),
    Param(
        'providers',
        ['tensorrt', 'cuda', 'cpu'],
        'execution providers the model may run on, preferred first',
        choices=('tensorrt', 'cuda', 'cpu'),
    ),
    Param(
        'tensorrt_cache',
        '',
        'folder in which TensorRT keeps its engines between starts, writable by this user only; '
        'empty: engines are built at each start',
    ),
    Param('threads', 1, 'number of threads for one inference', 1, 64),
    Param('min_score', 0.05, 'detections with a lower score are not published', 0, 1, live=True),
    Param('max_detections', 100, 'maximum number of detections per window', 1, 1000, live=True),
    Param(
        'beyond_image',
        False,
        'also publish boxes outside the image, if the model detects vehicles beyond it',
        live=True,
    ),
    *EGO_MOTION,
    Param(
        'air_temperature_c',
        USUAL_AIR_C,
        'air temperature, degrees Celsius, until topic air_temperature has a value; used '
        'by a model for any array',
        *AIR_C,
        live=True,
    ),
)
"""Parameters of node detector."""

TRACKER = (
    *COMMON,
    REAL_TIME,
    Param(
        'tracker',
        DEFAULT_TRACKER,
        'algorithm that links boxes to tracks',
        choices=TRACKERS.names(),
        live=True,
    ),
    Param(
        'start_score',
        -1.0,
        "score above which a detection starts a track; -1: the tracker's own default",
        -1,
        1,
        live=True,
    ),
    Param(
        'iou_threshold',
        -1.0,
        "overlap (IoU) above which two boxes are the same vehicle; -1: the tracker's own default",
        -1,
        1,
        live=True,
    ),
    Param(
        'label_offset_s',
        LABEL_OFFSET_S,
        "avdet.label_offset_s of the model: the instant of the boxes minus the window's end, "
        "seconds; latencies are measured from the window's end",
        -60,
        60,
        live=True,
    ),
    Param(
        'max_detections',
        300,
        'maximum number of detections tracked per window, best scores first',
        1,
        1000,
        live=True,
    ),
    *EGO_MOTION,
)
"""Parameters of node tracker."""

OVERLAY = (
    *COMMON,
    Param('max_rate_hz', 10.0, 'maximum number of images per second', 0.1, 60, live=True),
    Param(
        'scale', 1.0, 'size of the image relative to that of the camera image', 0.1, 1, live=True
    ),
    Param('trail_s', 3.0, 'length of the trail drawn behind a vehicle, seconds', 0, 60, live=True),
    Param(
        'image_timeout_s', 0.5, 'age above which a camera image is not drawn, seconds', 0.05, 60
    ),
)
"""Parameters of node overlay."""

RECORDER = (
    *COMMON[:1],
    Param(
        'path', '', 'folder of the bag to write; if it exists, a number is appended to the name'
    ),
    Param(
        'topics',
        [
            'audio',
            'detections',
            'tracks',
            'tracks_3d',
            'hidden',
            'odom',
            'air_temperature',
            'truth',
            'label_info',
            'debug/latency_ms',
            'image',
            'camera_info',
            '/tf_static',
        ],
        'topics to record, as relative or full names; spectrogram would add 18 MB per second',
    ),
)
"""Parameters of node recorder."""

CAMERA = (
    *COMMON,
    *SIMULATED,
    Param('rate_hz', 5.0, 'images per second of a drive that is rendered', 0.1, 30),
    Param(
        'modalities',
        ['rgb'],
        'images to publish, on camera/image_raw, thermal/image_raw and depth/image_raw',
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
