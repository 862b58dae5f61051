"""The same as avdet.launch.py, to be included in launch files: every argument begins with avdet_.

Launch files share their arguments with those they include: one that has its own `model`, `device`,
`tracker` or `namespace` would hand them to avdet.launch.py without meaning to.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import OpaqueFunction

from avdet_ros.graph import ARGUMENTS, make_graph
from avdet_ros.launch_actions import INCLUDE_PREFIX, describe, given, processes_of


def generate_launch_description() -> LaunchDescription:
    """Declare every argument under its longer name, then the nodes that follow from them."""
    return describe(ARGUMENTS, OpaqueFunction(function=_nodes), INCLUDE_PREFIX)


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    return processes_of(make_graph(given(context, ARGUMENTS, INCLUDE_PREFIX)), context)
