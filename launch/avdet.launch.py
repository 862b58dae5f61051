"""Brings up capture, detector, tracker and overlay: `ros2 launch avdet_ros avdet.launch.py`.

The graph is described in avdet_ros/graph.py; `avdet run` starts the same one without launch. To
include it in a launch file of your own take avdet_include.launch.py.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import OpaqueFunction

from avdet_ros.graph import ARGUMENTS, make_graph
from avdet_ros.launch_actions import describe, given, processes_of


def generate_launch_description() -> LaunchDescription:
    """Declare every argument, then the nodes that follow from them."""
    return describe(ARGUMENTS, OpaqueFunction(function=_nodes))


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    return processes_of(make_graph(given(context, ARGUMENTS)), context)
