"""Play a recorded drive to the nodes: `ros2 launch avdet_ros replay.launch.py bag:=DIR rate:=1.0`.

Nodes take their time from the bag. With raw sound in it the whole chain runs again, with only
spectrograms it runs from the detector on. The graph is that of avdet.launch.py.
"""

import os

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from avdet_ros.bags.replay_plan import REPLAY_ARGUMENTS, plan_replay
from avdet_ros.graph import PACKAGE
from avdet_ros.rviz import processes
from avdet_ros.supervisor import shutdown_timeouts, transport_settings

LAST_WINDOWS_S = 2.0
"""How long nodes run on after the last message."""


def generate_launch_description() -> LaunchDescription:
    """Declare every argument, then player and nodes."""
    arguments = [
        DeclareLaunchArgument(
            argument.name,
            default_value=argument.default,
            description=argument.description,
            choices=list(argument.choices) or None,
        )
        for argument in REPLAY_ARGUMENTS
    ]
    variables = [
        SetEnvironmentVariable(name, value)
        for name, value in transport_settings(os.environ).items()
    ]
    return LaunchDescription([*arguments, *variables, OpaqueFunction(function=_replay)])


def _replay(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {
        argument.name: LaunchConfiguration(argument.name).perform(context)
        for argument in REPLAY_ARGUMENTS
    }
    plan = plan_replay(given)
    graph = plan.graph
    nodes = [
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
    nodes += [Node(output='screen', **process) for process in processes(graph)]
    player = ExecuteProcess(cmd=list(plan.player), name='player', output='screen')
    end = TimerAction(
        period=LAST_WINDOWS_S, actions=[EmitEvent(event=Shutdown(reason='the bag has ended'))]
    )
    at_end = RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[end]))
    return [LogInfo(msg=plan.note), *nodes, player, at_end]
