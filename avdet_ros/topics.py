"""Every topic of the graph: type, meaning, who publishes it and who subscribes to it.

docs/nodes.md is generated from this table. Tests compare it with the code of the nodes and with
config/sros2_policy.xml, which in turn is compared with the running graph.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        name: relative to the graph's namespace, or absolute.
        type: message type.
        meaning: content of a message, and meaning of its stamp.
        publishers: nodes that publish it.
        subscribers: nodes that subscribe to it.
        offered: the publishers' profile in `avdet_ros.nodes.qos`; '' is reliable, depth 10.
        asked: the same for the subscribers.
        when: condition under which nodes publish it; '' if they always do.
        asked_when: the same for subscribing.
    """

    name: str
    type: str
    meaning: str
    publishers: tuple[str, ...]
    subscribers: tuple[str, ...] = ()
    offered: str = ''
    asked: str = ''
    when: str = ''
    asked_when: str = ''


IMAGE = 'sensor_msgs/msg/Image'
BOXES = 'vision_msgs/msg/Detection2DArray'
NUMBER = 'std_msgs/msg/Float64'
WITH_GROUND = 'parameter tracker ground'

TOPICS = (
    Topic(
        'audio',
        IMAGE,
        'a block of sound, `16SC8` or `32FC8`: a row a sample; stamp: its first sample',
        ('capture',),
        ('capture', 'recorder'),
        'OFFER_STREAM',
        'ASK_SOUND',
        'parameter publish_audio, and while somebody subscribes',
        'source topic',
    ),
    Topic(
        'spectrogram',
        IMAGE,
        'features of a window, `32FC64`: 8 log-mel spectrograms, 56 coherences (`32FC32` with 24 '
        'where the model asks for twelve pairs of microphones); stamp: its end',
        ('capture',),
        ('detector', 'overlay'),
        'OFFER_SPECTROGRAM',
        'ASK_SPECTROGRAM',
        'while somebody subscribes',
    ),
    Topic(
        'array',
        'std_msgs/msg/String',
        'the array in use, JSON: places, yaw, gains, delays and life of the microphones; latched',
        ('capture',),
        ('detector',),
        'LATCHED',
        'LATCHED',
    ),
    Topic(
        'truth',
        BOXES,
        'true boxes of the simulated drive',
        ('capture',),
        ('overlay', 'recorder'),
        'RESULTS',
        'RESULTS',
        'source simulation',
    ),
    Topic(
        'odom',
        'nav_msgs/msg/Odometry',
        "the ego vehicle's motion; a simulated drive publishes its own",
        ('capture',),
        ('detector', 'tracker', 'recorder'),
        'RESULTS',
        'ASK_ODOMETRY',
        'source simulation',
        'parameter ego_motion odometry',
    ),
    Topic(
        'air_temperature',
        'sensor_msgs/msg/Temperature',
        'of the air outside, degrees Celsius; a simulated drive publishes its own',
        ('capture',),
        ('detector', 'recorder'),
        'RESULTS',
        'ASK_ODOMETRY',
        'source simulation',
        'a model for any array',
    ),
    Topic(
        'drive_time',
        'sensor_msgs/msg/TimeReference',
        'ROS time of the beginning of the simulated drive; latched',
        ('capture',),
        ('camera', 'recorder'),
        'LATCHED',
        'LATCHED',
        'source simulation',
    ),
    Topic(
        'detections',
        BOXES,
        'boxes and scores, for every window, silent ones too; stamp: the instant they hold for',
        ('detector',),
        ('tracker', 'recorder'),
        'RESULTS',
        'RESULTS',
    ),
    Topic(
        'label_info',
        'vision_msgs/msg/LabelInfo',
        'names of the classes, and the score below which nothing is published; latched',
        ('detector',),
        ('recorder',),
        'LATCHED',
        'LATCHED',
    ),
    Topic(
        'tracks',
        BOXES,
        'boxes with identities; stamp: as the detections',
        ('tracker',),
        ('overlay', 'recorder'),
        'RESULTS',
        'RESULTS',
    ),
    Topic(
        'tracks_3d',
        'vision_msgs/msg/Detection3DArray',
        "vehicles in metres in `base_link`, with covariances; stamp: the window's end",
        ('tracker',),
        ('overlay', 'recorder'),
        'RESULTS',
        'RESULTS',
        WITH_GROUND,
    ),
    Topic(
        'tracks_points',
        'sensor_msgs/msg/PointCloud2',
        'the same as points with velocities, as radars give them',
        ('tracker',),
        ('recorder',),
        'RESULTS',
        when=WITH_GROUND,
    ),
    Topic(
        'nearest',
        'geometry_msgs/msg/PoseWithCovarianceStamped',
        'the nearest vehicle',
        ('tracker',),
        ('recorder',),
        'RESULTS',
        when=WITH_GROUND,
    ),
    Topic(
        'hidden',
        'sensor_msgs/msg/PointCloud2',
        'vehicles that the camera does not see: bearing, whether they come nearer, time to sight',
        ('tracker',),
        ('overlay', 'recorder'),
        'RESULTS',
        when=WITH_GROUND,
    ),
    Topic(
        'map',
        'nav_msgs/msg/OccupancyGrid',
        'what stands around, in `base_link` or the frame of `odom`; launch argument `map`',
        (),
        ('tracker',),
        asked='ASK_MAP',
    ),
    Topic(
        'autoware/detected_objects',
        'autoware_perception_msgs/msg/DetectedObjects',
        'the same for Autoware',
        ('tracker',),
        offered='RESULTS',
        when='package autoware_perception_msgs',
    ),
    Topic(
        'autoware/tracked_objects',
        'autoware_perception_msgs/msg/TrackedObjects',
        'the same for Autoware, with identities',
        ('tracker',),
        offered='RESULTS',
        when='package autoware_perception_msgs',
    ),
    Topic(
        'annotations',
        'foxglove_msgs/msg/ImageAnnotations',
        'boxes with identities for Foxglove; stamp: as the detections',
        ('tracker',),
        offered='RESULTS',
        when='package foxglove_msgs',
    ),
    Topic(
        'image',
        IMAGE,
        "the camera's picture; launch argument `image` names its topic",
        (),
        ('overlay', 'recorder'),
        asked='ASK_STREAM',
    ),
    Topic(
        'camera_info',
        'sensor_msgs/msg/CameraInfo',
        "the camera's model",
        (),
        ('overlay', 'recorder'),
        asked='ASK_STREAM',
    ),
    Topic(
        'overlay', IMAGE, 'picture with boxes, trails, sound', ('overlay',), offered='OFFER_STREAM'
    ),
    Topic(
        'spectrogram_image',
        IMAGE,
        'the last seconds of sound',
        ('overlay',),
        offered='OFFER_STREAM',
    ),
    Topic(
        'markers_3d',
        'visualization_msgs/msg/MarkerArray',
        'ellipses, boxes and trails of `tracks_3d` on the road, arrows and words of `hidden`',
        ('overlay',),
        offered='RESULTS',
    ),
    Topic(
        'markers',
        'visualization_msgs/msg/MarkerArray',
        'a wedge on the road for each bearing',
        ('overlay',),
        offered='RESULTS',
    ),
    Topic(
        'camera/image_raw',
        IMAGE,
        'colour picture of the simulated drive',
        ('camera',),
        offered='OFFER_STREAM',
        when='parameter modalities',
    ),
    Topic(
        'thermal/image_raw',
        IMAGE,
        'thermal picture, `mono16` counts',
        ('camera',),
        offered='OFFER_STREAM',
        when='parameter modalities',
    ),
    Topic(
        'depth/image_raw',
        IMAGE,
        'depth, `32FC1` metres, NaN where unknown',
        ('camera',),
        offered='OFFER_STREAM',
        when='parameter modalities',
    ),
    Topic(
        'camera/camera_info',
        'sensor_msgs/msg/CameraInfo',
        "the rig's camera",
        ('camera',),
        offered='OFFER_STREAM',
    ),
    Topic('debug/features_ms', NUMBER, 'time for the features of a window', ('capture',)),
    Topic(
        'debug/spectrogram_latency_ms',
        NUMBER,
        "from a window's end to its spectrogram",
        ('capture',),
    ),
    Topic('debug/gap_samples', NUMBER, 'samples lost in a window', ('capture',)),
    Topic('debug/inference_ms', NUMBER, 'time of an inference', ('detector',)),
    Topic(
        'debug/detections_latency_ms', NUMBER, "from a window's end to its boxes", ('detector',)
    ),
    Topic('debug/tracker_ms', NUMBER, 'time of an update of the tracks', ('tracker',)),
    Topic(
        'debug/latency_ms',
        NUMBER,
        "from a window's end to its tracks",
        ('tracker',),
        ('overlay', 'recorder'),
    ),
    Topic(
        'debug/steps',
        'std_msgs/msg/String',
        "when each step of a window was done, JSON, milliseconds after the window's end",
        ('capture', 'detector', 'tracker'),
        when='while somebody subscribes',
    ),
    Topic('debug/overlay_ms', NUMBER, 'time to draw a picture', ('overlay',)),
    Topic(
        '/tf',
        'tf2_msgs/msg/TFMessage',
        'frames that move: the ego vehicle in a fixed one',
        (),
        ('detector', 'tracker'),
        asked='ASK_TF',
        asked_when='parameter ego_motion tf',
    ),
    Topic(
        '/tf_static',
        'tf2_msgs/msg/TFMessage',
        'frames of the rig',
        (),
        ('recorder', 'detector', 'tracker'),
        asked='LATCHED_OF_ALL',
    ),
    Topic(
        '/diagnostics',
        'diagnostic_msgs/msg/DiagnosticArray',
        'what the node does, and why when it does nothing; once a second',
        ('camera', 'capture', 'detector', 'tracker', 'overlay', 'recorder'),
        ('detector', 'tracker', 'overlay'),
        asked_when='while nothing comes in',
    ),
)
"""All topics, in the order of the processing chain."""


def inputs(node: str) -> list[Topic]:
    """Return the topics that a node subscribes to."""
    return [topic for topic in TOPICS if node in topic.subscribers]


def outputs(node: str) -> list[Topic]:
    """Return the topics that a node publishes."""
    return [topic for topic in TOPICS if node in topic.publishers]
