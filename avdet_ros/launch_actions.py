"""What the launch files have in common: arguments, nodes, and no trace in who includes them.

A launch file that includes another shares all launch configurations with it, in both directions:
an argument with a given name is one argument, no matter which file declares it. So each file here
removes its arguments at its end, and those of ``avdet_include.launch.py`` have unique names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import os
from pathlib import Path
import sys

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    PopLaunchConfigurations,
    PushLaunchConfigurations,
)
from launch_ros.actions import Node

from avdet_ros.errors import AvdetError
from avdet_ros.graph import PACKAGE, Argument, Graph, ProcessSpec
from avdet_ros.paths import ros_package_installed
from avdet_ros.quoting import did_you_mean
from avdet_ros.rviz import processes
from avdet_ros.supervisor import composed_words, shutdown_timeouts, transport_settings

INCLUDE_PREFIX = 'avdet_'
"""Prefix of the arguments of ``avdet_include.launch.py``."""

OF_LAUNCH = ('launch-prefix', 'launch-prefix-filter')
"""Arguments of ``ros2 launch`` itself."""

TRUTHS = ('true', 'false', 'True', 'False')
"""Accepted Boolean texts: Python and YAML launch files write True, users and XML write true."""


def describe(
    arguments: Iterable[Argument], act: OpaqueFunction, prefix: str = ''
) -> LaunchDescription:
    """Make a launch description with these arguments that leaves no argument behind.

    Args:
        arguments: arguments to declare.
        act: makes the processes; it is executed while the arguments are set.
        prefix: prefix of the arguments' names.
    """
    declared = [
        DeclareLaunchArgument(
            prefix + argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=_choices(argument),
        )
        for argument in arguments
    ]
    return LaunchDescription(
        [PushLaunchConfigurations(), *declared, act, PopLaunchConfigurations()]
    )


def given(
    context: LaunchContext, arguments: Iterable[Argument], prefix: str = ''
) -> dict[str, str]:
    """Return the arguments' texts by name, without the prefix.

    A relative namespace is appended to the one set by ``PushRosNamespace``.

    Raises:
        AvdetError: the command line has an argument that this launch file does not declare.
    """
    names = [prefix + argument.name for argument in arguments]
    _refuse_undeclared(context, names)
    configurations = context.launch_configurations
    texts = {name.removeprefix(prefix): configurations[name] for name in names}
    pushed = configurations.get('ros_namespace', '').strip('/')
    namespace = texts.get('namespace', '')
    if pushed and namespace and not namespace.startswith('/'):
        texts['namespace'] = f'/{pushed}/{namespace}'
    return texts


def processes_of(graph: Graph, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the graph's nodes, and RViz if it is requested and installed."""
    environment: Mapping[str, str] = {**os.environ, **context.environment}
    variables = transport_settings(environment)
    nodes: list[LaunchDescriptionEntity] = [
        Node(
            package=PACKAGE,
            executable=process.name,
            namespace=graph.namespace,
            additional_env=variables,
            respawn=graph.respawn,
            respawn_delay=1.0,
            output='screen',
            emulate_tty=True,
            **_words_of(process, graph),
            **shutdown_timeouts(process.name),
        )
        for process in graph.processes
    ]
    missing = set()
    for process in processes(graph):
        if ros_package_installed(process['package']):
            nodes.append(Node(output='screen', additional_env=variables, **process))
        else:
            missing.add(process['package'])
    return [*nodes, *(LogInfo(msg=_how_to_get(package)) for package in sorted(missing))]


def _words_of(process: ProcessSpec, graph: Graph) -> dict[str, object]:
    """Return a process's settings as keywords of launch's Node, which expects one node in it."""
    for_all = ['--ros-args', '--log-level', graph.log_level]
    if len(process.nodes) > 1:
        words = composed_words(process.nodes)
        return {'parameters': [graph.params_file], 'arguments': [*words, *for_all]}
    node = process.nodes[0]
    return {
        'name': node.name,
        'parameters': [graph.params_file, node.parameters],
        'remappings': list(node.remappings.items()),
        'arguments': for_all,
    }


def _choices(argument: Argument) -> list[str] | None:
    if argument.param.kind is bool:
        return list(TRUTHS)
    return list(argument.choices) or None


def _how_to_get(package: str) -> str:
    package = f'ros-{os.environ.get("ROS_DISTRO", "jazzy")}-{package.replace("_", "-")}'
    return (
        f'rviz:=true: expected {package}, found it not installed: apt-get install {package}; '
        'the nodes run without it'
    )


def _refuse_undeclared(context: LaunchContext, names: list[str]) -> None:
    """Refuse undeclared arguments, which launch itself ignores, if the user named this file."""
    file = Path(getattr(context.locals, 'current_launch_file_path', '') or '')
    if file.name not in {Path(word).name for word in sys.argv[1:]}:
        return  # another file includes this one, and the command line belongs to that file
    for word in context.argv:
        name = word.partition(':=')[0]
        if name not in names and name not in OF_LAUNCH:
            hint = did_you_mean(name, names) or '; --show-args lists them'
            raise AvdetError(
                f'{file.name}: {name}: expected an argument that it declares, found an unknown '
                f'one{hint}'
            )
