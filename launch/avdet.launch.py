"""Brings up capture, detector, tracker and overlay: `ros2 launch avdet_ros avdet.launch.py`.

The graph is described in avdet_ros/graph.py; `avdet run` starts the same one without launch.
"""

import os

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from avdet_ros.graph import ARGUMENTS, PACKAGE, make_graph
from avdet_ros.rviz import processes
from avdet_ros.supervisor import shutdown_timeouts, transport_settings


def generate_launch_description() -> LaunchDescription:
    """Declare every argument, then the nodes that follow from them."""
    arguments = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=list(argument.choices) or None,
        )
        for argument in ARGUMENTS
    ]
    variables = [
        SetEnvironmentVariable(name, value)
        for name, value in transport_settings(os.environ).items()
    ]
    return LaunchDescription([*arguments, *variables, OpaqueFunction(function=_nodes)])


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {
        argument.name: LaunchConfiguration(argument.name).perform(context)
        for argument in ARGUMENTS
    }
    graph = make_graph(given)
    beside = [Node(output='screen', **process) for process in processes(graph)]
    return beside + [
        Node(
            package=PACKAGE,
            executable=node.name,
            name=node.name,
            namespace=graph.namespace,
            parameters=[graph.params_file, node.parameters],
            remappings=list(node.remappings.items()),
            arguments=['--ros-args', '--log-level', graph.log_level],
            respawn=graph.respawn,
            respawn_delay=1.0,
            output='screen',
            emulate_tty=True,
            **shutdown_timeouts(node.name),
        )
        for node in graph.nodes
    ]
