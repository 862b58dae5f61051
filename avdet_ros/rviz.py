"""Processes for RViz in addition to the nodes: its window, and the rig's static transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from avdet_ros.graph import Graph
from avdet_ros.paths import share
from avdet_ros.rig import Rig, load_rig

CONFIG = 'config/avdet.rviz'
CONFIG_NAMESPACE = '/avdet'
"""Namespace of the topics in `CONFIG`."""

TOPICS = ('overlay', 'spectrogram_image', 'markers', 'markers_3d')
"""Topics that RViz shows."""


def processes(graph: Graph) -> list[dict[str, Any]]:
    """Return the ROS processes for ``rviz:=true`` and ``tf:=true``, as arguments of launch's Node.

    Raises:
        AvdetError: the rig file cannot be used.
    """
    if not (graph.rviz or graph.tf):
        return []
    there = graph.namespace.rstrip('/')
    window = {
        'package': 'rviz2',
        'executable': 'rviz2',
        'name': 'rviz',
        'arguments': ['-d', str(share(CONFIG))],
        'remappings': [
            (f'{CONFIG_NAMESPACE}/{topic}', f'{there}/{topic}')
            for topic in TOPICS
            if there != CONFIG_NAMESPACE
        ],
    }
    frames = [
        {
            'package': 'tf2_ros',
            'executable': 'static_transform_publisher',
            'name': f'{child}_publisher',
            'arguments': [*words, '--frame-id', parent, '--child-frame-id', child],
        }
        for parent, child, words in static_transforms(load_rig(graph.rig or None))
    ]
    return [window, *frames] if graph.rviz else frames


def static_transforms(rig: Rig) -> list[tuple[str, str, list[str]]]:
    """Return the transforms of the rig's frames.

    Returns:
        Parent, child, and position and rotation as arguments of static_transform_publisher; first
        for the camera's optical frame, then for the array's.
    """
    camera = rig.camera
    array = Rotation.from_euler('z', rig.array_yaw_deg, degrees=True)
    optical = Rotation.from_matrix(camera.rotation.T)
    return [
        (rig.frame_id, camera.frame_id, _words(camera.position_m, optical)),
        (rig.frame_id, rig.array_frame_id, _words(rig.array_position_m, array)),
    ]


def _words(position_m: np.ndarray, turn: Rotation) -> list[str]:
    names = ('--x', '--y', '--z', '--qx', '--qy', '--qz', '--qw')
    values = [*position_m, *turn.as_quat()]
    return [
        word for name, value in zip(names, values, strict=True) for word in (name, f'{value:.9g}')
    ]
