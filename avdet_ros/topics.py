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
WITH_GROUND = 'only with tracker ground'

TOPICS = (
    Topic(
        'audio',
        IMAGE,
        'block of sound, `16SC8` or `32FC8`, one row per sample; stamp: its first sample',
        ('capture',),
        ('capture', 'recorder'),
        'OFFER_STREAM',
        'ASK_SOUND',
        'only with publish_audio, and while there are subscribers',
        'capture: only with source topic',
    ),
    Topic(
        'spectrogram',
        IMAGE,
        'features of a window, `32FC64`: 8 log-mel spectrograms and 56 coherences, or `32FC32` '
        "with 24 coherences if the model uses twelve microphone pairs; stamp: the window's end",
        ('capture',),
        ('detector', 'overlay'),
        'OFFER_SPECTROGRAM',
        'ASK_SPECTROGRAM',
        'only while there are subscribers',
    ),
    Topic(
        'array',
        'std_msgs/msg/String',
        'array in use, as JSON: positions, yaw, gains and delays of the microphones, and which of '
        'them work; latched',
        ('capture',),
        ('detector',),
        'LATCHED',
        'LATCHED',
    ),
    Topic(
        'truth',
        BOXES,
        'ground-truth boxes of the simulated drive',
        ('capture',),
        ('overlay', 'recorder'),
        'RESULTS',
        'RESULTS',
        'only with source simulation',
    ),
    Topic(
        'odom',
        'nav_msgs/msg/Odometry',
        "the ego vehicle's motion; a simulated drive publishes its own",
        ('capture',),
        ('detector', 'tracker', 'recorder'),
        'RESULTS',
        'ASK_ODOMETRY',
        'only with source simulation',
        'detector and tracker: only with ego_motion odometry',
    ),
    Topic(
        'air_temperature',
        'sensor_msgs/msg/Temperature',
        'temperature of the outside air, degrees Celsius; a simulated drive publishes its own',
        ('capture',),
        ('detector', 'recorder'),
        'RESULTS',
        'ASK_ODOMETRY',
        'only with source simulation',
        'detector: only with a model for any array',
    ),
    Topic(
        'drive_time',
        'sensor_msgs/msg/TimeReference',
        'ROS time at which the simulated drive starts; latched',
        ('capture',),
        ('camera', 'recorder'),
        'LATCHED',
        'LATCHED',
        'only with source simulation',
    ),
    Topic(
        'detections',
        BOXES,
        'boxes and scores, for every window, including silent ones; stamp: the instant for which '
        'the boxes are valid',
        ('detector',),
        ('tracker', 'recorder'),
        'RESULTS',
        'RESULTS',
    ),
    Topic(
        'label_info',
        'vision_msgs/msg/LabelInfo',
        'class names, and the minimum score of published detections; latched',
        ('detector',),
        ('recorder',),
        'LATCHED',
        'LATCHED',
    ),
    Topic(
        'tracks',
        BOXES,
        'boxes with track identities; stamp: as in `detections`',
        ('tracker',),
        ('overlay', 'recorder'),
        'RESULTS',
        'RESULTS',
    ),
    Topic(
        'tracks_3d',
        'vision_msgs/msg/Detection3DArray',
        "vehicles in `base_link`, in metres, with covariances; stamp: the window's end",
        ('tracker',),
        ('overlay', 'recorder'),
        'RESULTS',
        'RESULTS',
        WITH_GROUND,
    ),
    Topic(
        'tracks_points',
        'sensor_msgs/msg/PointCloud2',
        'vehicles of `tracks_3d` as points with velocities, like radar targets',
        ('tracker',),
        ('recorder',),
        'RESULTS',
        when=WITH_GROUND,
    ),
    Topic(
        'nearest',
        'geometry_msgs/msg/PoseWithCovarianceStamped',
        'position of the nearest vehicle, with its covariance',
        ('tracker',),
        ('recorder',),
        'RESULTS',
        when=WITH_GROUND,
    ),
    Topic(
        'hidden',
        'sensor_msgs/msg/PointCloud2',
        'vehicles hidden from the camera: bearing, whether they approach, and time until they '
        'come into sight',
        ('tracker',),
        ('overlay', 'recorder'),
        'RESULTS',
        when=WITH_GROUND,
    ),
    Topic(
        'map',
        'nav_msgs/msg/OccupancyGrid',
        'obstacles around the vehicle, in `base_link` or the frame of `odom`; launch argument '
        '`map` names its topic',
        (),
        ('tracker',),
        asked='ASK_MAP',
    ),
    Topic(
        'autoware/detected_objects',
        'autoware_perception_msgs/msg/DetectedObjects',
        'vehicles of `tracks_3d` for Autoware',
        ('tracker',),
        offered='RESULTS',
        when='if package autoware_perception_msgs is installed',
    ),
    Topic(
        'autoware/tracked_objects',
        'autoware_perception_msgs/msg/TrackedObjects',
        'vehicles of `tracks_3d` for Autoware, with identities',
        ('tracker',),
        offered='RESULTS',
        when='if package autoware_perception_msgs is installed',
    ),
    Topic(
        'annotations',
        'foxglove_msgs/msg/ImageAnnotations',
        'boxes of `tracks` for Foxglove; stamp: as in `detections`',
        ('tracker',),
        offered='RESULTS',
        when='if package foxglove_msgs is installed',
    ),
    Topic(
        'image',
        IMAGE,
        'camera image; launch argument `image` names its topic',
        (),
        ('overlay', 'recorder'),
        asked='ASK_STREAM',
    ),
    Topic(
        'camera_info',
        'sensor_msgs/msg/CameraInfo',
        'intrinsics of the camera',
        (),
        ('overlay', 'recorder'),
        asked='ASK_STREAM',
    ),
    Topic(
        'overlay',
        IMAGE,
        'camera image with boxes, trails and sound',
        ('overlay',),
        offered='OFFER_STREAM',
    ),
    Topic(
        'spectrogram_image',
        IMAGE,
        'spectrogram of the last seconds of sound',
        ('overlay',),
        offered='OFFER_STREAM',
    ),
    Topic(
        'markers_3d',
        'visualization_msgs/msg/MarkerArray',
        'ellipses, boxes and trails of `tracks_3d` on the road; arrows and text of `hidden`',
        ('overlay',),
        offered='RESULTS',
    ),
    Topic(
        'markers',
        'visualization_msgs/msg/MarkerArray',
        'one wedge on the road per bearing',
        ('overlay',),
        offered='RESULTS',
    ),
    Topic(
        'camera/image_raw',
        IMAGE,
        'colour image of the simulated drive',
        ('camera',),
        offered='OFFER_STREAM',
        when='if selected in modalities',
    ),
    Topic(
        'thermal/image_raw',
        IMAGE,
        'thermal image, `mono16` counts',
        ('camera',),
        offered='OFFER_STREAM',
        when='if selected in modalities',
    ),
    Topic(
        'depth/image_raw',
        IMAGE,
        'depth image, `32FC1` metres, NaN where unknown',
        ('camera',),
        offered='OFFER_STREAM',
        when='if selected in modalities',
    ),
    Topic(
        'camera/camera_info',
        'sensor_msgs/msg/CameraInfo',
        "intrinsics of the rig's camera",
        ('camera',),
        offered='OFFER_STREAM',
    ),
    Topic('debug/features_ms', NUMBER, "time to compute a window's features", ('capture',)),
    Topic(
        'debug/spectrogram_latency_ms',
        NUMBER,
        "time from a window's end to its spectrogram",
        ('capture',),
    ),
    Topic('debug/gap_samples', NUMBER, 'number of samples lost in a window', ('capture',)),
    Topic('debug/inference_ms', NUMBER, 'time of one inference', ('detector',)),
    Topic(
        'debug/detections_latency_ms',
        NUMBER,
        "time from a window's end to its boxes",
        ('detector',),
    ),
    Topic('debug/tracker_ms', NUMBER, 'time to update the tracks', ('tracker',)),
    Topic(
        'debug/latency_ms',
        NUMBER,
        "time from a window's end to its tracks",
        ('tracker',),
        ('overlay', 'recorder'),
    ),
    Topic(
        'debug/steps',
        'std_msgs/msg/String',
        "when each step of a window was finished, as JSON, in milliseconds after the window's end",
        ('capture', 'detector', 'tracker'),
        when='only while there are subscribers',
    ),
    Topic('debug/overlay_ms', NUMBER, 'time to draw an image', ('overlay',)),
    Topic(
        '/tf',
        'tf2_msgs/msg/TFMessage',
        'moving frames: the ego vehicle in a fixed frame',
        (),
        ('detector', 'tracker'),
        asked='ASK_TF',
        asked_when='only with ego_motion tf',
    ),
    Topic(
        '/tf_static',
        'tf2_msgs/msg/TFMessage',
        'static frames of the rig',
        (),
        ('recorder', 'detector', 'tracker'),
        asked='LATCHED_OF_ALL',
    ),
    Topic(
        '/diagnostics',
        'diagnostic_msgs/msg/DiagnosticArray',
        'state of the node, and the reason if it does nothing; once per second',
        ('camera', 'capture', 'detector', 'tracker', 'overlay', 'recorder'),
        ('detector', 'tracker', 'overlay'),
        asked_when='only while no input arrives',
    ),
)
"""All topics, in the order of the processing chain."""


def inputs(node: str) -> list[Topic]:
    """Return the topics that a node subscribes to."""
    return [topic for topic in TOPICS if node in topic.subscribers]


def outputs(node: str) -> list[Topic]:
    """Return the topics that a node publishes."""
    return [topic for topic in TOPICS if node in topic.publishers]
