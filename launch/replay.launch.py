"""Play a recorded drive to the nodes: `ros2 launch avdet_ros replay.launch.py bag:=DIR rate:=1.0`.

Nodes take their time from the bag. With raw sound in it the whole chain runs again, with only
spectrograms it runs from the detector on. The graph is that of avdet.launch.py.
"""

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    EmitEvent,
    ExecuteProcess,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown

from avdet_ros.bags.replay_plan import REPLAY_ARGUMENTS, plan_replay
from avdet_ros.launch_actions import describe, given, processes_of

LAST_WINDOWS_S = 2.0
"""How long nodes run on after the last message."""


def generate_launch_description() -> LaunchDescription:
    """Declare every argument, then player and nodes."""
    return describe(REPLAY_ARGUMENTS, OpaqueFunction(function=_replay))


def _replay(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    plan = plan_replay(given(context, REPLAY_ARGUMENTS))
    nodes = processes_of(plan.graph, context)
    player = ExecuteProcess(cmd=list(plan.player), name='player', output='screen')
    end = TimerAction(
        period=LAST_WINDOWS_S, actions=[EmitEvent(event=Shutdown(reason='the bag has ended'))]
    )
    at_end = RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[end]))
    return [LogInfo(msg=plan.note), *nodes, player, at_end]
