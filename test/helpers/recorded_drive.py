"""A drive as nodes and cameras record it: sound, pictures, calibrations, static transforms."""

from __future__ import annotations

import numpy as np

from avdet_ros.messages.decode import CAMERA_INFO, TRANSFORMS
from avdet_ros.messages.encode_offline import make_header, make_image
from avdet_ros.messages.typestore import serialize, typestore

START_NS = 1_700_000_000_000_000_000
RGB, THERMAL, DEPTH = '/camera/image_raw', '/thermal/image_raw', '/depth/image_raw'
WIDTH, HEIGHT = 192, 65


def camera_info(frame_id, size=(WIDTH, HEIGHT), focal=100.0, distortion=()):
    types = typestore().types
    k = np.array([focal, 0, size[0] / 2, 0, focal, size[1] / 2, 0, 0, 1.0])
    roi = types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return types[CAMERA_INFO](
        make_header(START_NS, frame_id),
        size[1],
        size[0],
        'plumb_bob',
        np.array(distortion, np.float64),
        k,
        np.eye(3).ravel(),
        np.zeros(12),
        0,
        0,
        roi,
    )


def transform(parent, child, position, quaternion):
    types = typestore().types
    return types['geometry_msgs/msg/TransformStamped'](
        make_header(START_NS, parent),
        child,
        types['geometry_msgs/msg/Transform'](
            types['geometry_msgs/msg/Vector3'](*position),
            types['geometry_msgs/msg/Quaternion'](*quaternion),
        ),
    )


def record_drive(write_sound, picture_message):
    """Return the function that fixture `record` provides."""

    def make(
        path,
        rgb='raw',
        thermal=False,
        depth=False,
        info=True,
        tf=False,
        shift_ns=0,
        picture_stamps=True,
        distortion=(),
        spoil=None,
        **sound,
    ):
        writer = write_sound(path, close=False, **sound)

        def put(topic, message, late_ns=0):
            writer.write(topic, message.__msgtype__, serialize(message), START_NS + late_ns)

        if info:
            made = camera_info('cam', distortion=distortion) if info is True else info
            put('/camera/camera_info', made)
        if tf:
            half = np.sqrt(0.5)
            optical = (-0.5, 0.5, -0.5, 0.5)
            entries = [
                transform('base_link', 'mast', (0.2, 0.1, 1.0), (0, 0, 0, 1)),
                transform('mast', 'cam', (0.3, 0.0, 0.5), optical),
                transform('cam', 'thermal_cam', (0, 0, 0), (0, 0, 0, 1)),
                transform('base_link', 'microphone_array', (0, 0, 2.0), (0, 0, half, half)),
            ]
            put('/tf_static', typestore().types[TRANSFORMS](entries))
            put('/thermal/camera_info', camera_info('thermal_cam', (96, 32), 50.0))
        for index in range(30):
            late = index * 100_000_000
            now = START_NS + late + shift_ns if picture_stamps else 0
            compressed = rgb == 'compressed'
            image = picture_message(now, index, compressed)
            data = (spoil or {}).get(index, serialize)(image)
            writer.write(RGB, image.__msgtype__, data, START_NS + late + 30_000_000)
            if thermal and index % 2 == 0:
                counts = np.full((32, 96), 22000 + index, np.uint16)
                counts = counts if thermal is True else thermal(counts)
                header = make_header(now + 7_000_000, 'thermal_cam')
                put(
                    THERMAL,
                    make_image(header, 'mono16', 32, 96, counts),
                    late + 37_000_000,
                )
            if depth:
                metres = np.full((HEIGHT, WIDTH), 2.0 + index, np.float32)
                header = make_header(now, 'cam')
                put(DEPTH, make_image(header, '32FC1', HEIGHT, WIDTH, metres), late)
        writer.close()
        return path

    return make
