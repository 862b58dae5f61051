"""Plan how to process a bag live again: the node graph without its source, and a player."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
import importlib.util
from pathlib import Path
import shutil
import sys

from avdet_ros.bags.reader import Bag
from avdet_ros.bags.timeline import chain_topics, moved_topics
from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param
from avdet_ros.graph import ARGUMENTS, SOURCE_ARGUMENTS, Argument, Graph, make_graph
from avdet_ros.messages.decode import IMAGE
from avdet_ros.paths import ros_package_installed

_FIXED = (
    'source',
    *(argument.name for argument in SOURCE_ARGUMENTS),
    'camera',
    'camera_rate',
    'camera_modalities',
    'use_sim_time',
)
"""Arguments that a replay sets itself."""

NODES_UP_S = 8.0
"""Seconds that ``ros2 bag play`` waits for the nodes; our own player waits for subscriptions."""

REPLAY_ARGUMENTS = (
    Argument(Param('bag', '', 'rosbag2 folder, .mcap or .db3 to play')),
    Argument(Param('rate', 1.0, 'playback speed, as a multiple of the recorded speed', 0.01, 100)),
    Argument(Param('start', 0.0, 'seconds to skip at the beginning', 0, 1e6)),
    Argument(Param('loop', False, 'start again at the end')),
    *(
        replace(argument, param=replace(argument.param, default=''))
        if argument.name == 'namespace'
        else argument
        for argument in ARGUMENTS
        if argument.name not in _FIXED
    ),
)
"""Arguments of launch/replay.launch.py."""


@dataclass(frozen=True)
class ReplayPlan:
    """Nodes and player to run.

    Attributes:
        graph: nodes on sim time, fed by the bag; without capture if the bag has no raw sound.
        player: command that plays the bag.
        note: one sentence that describes the replay.
    """

    graph: Graph
    player: tuple[str, ...]
    note: str


def plan_replay(arguments: Mapping[str, str]) -> ReplayPlan:
    """Read a bag and decide how to replay it.

    Args:
        arguments: values as text by argument name, see `REPLAY_ARGUMENTS`.

    Raises:
        AvdetError: the bag cannot be played to the chain, or a value is not allowed.
    """
    values = {
        argument.name: argument.param.parse(arguments.get(argument.name, argument.default))
        for argument in REPLAY_ARGUMENTS
    }
    if not values['bag']:
        raise AvdetError('bag: expected the folder of a recording, as bag:=DIR, found none')
    with Bag(values['bag']) as bag:
        topics, raw = chain_topics(bag)
        damaged = bag.partial is not None
        source = bag.find('audio' if raw else 'spectrogram', IMAGE)
    assert source is not None  # otherwise `chain_topics` has raised
    graph_names = {argument.name for argument in ARGUMENTS} - set(_FIXED)
    texts = {name: text for name, text in arguments.items() if name in graph_names}
    if not texts.get('namespace'):
        texts['namespace'] = source.rsplit('/', 1)[0].strip('/')
    graph = make_graph({**texts, 'source': 'topic', 'use_sim_time': 'true'})
    if not raw:
        nodes = tuple(node for node in graph.nodes if node.name != 'capture')
        graph = replace(graph, nodes=nodes)
    rate, start = str(values['rate']), str(values['start'])
    loop = ['--loop'] if values['loop'] else []
    moved = moved_topics(topics, source, graph.namespace)
    by_rosbag2 = not damaged and rosbag2_plays(values['bag'])
    if by_rosbag2:
        player = ['ros2', 'bag', 'play', values['bag'], '--clock', '100', '--rate', rate]
        player += ['--start-offset', start, '--delay', str(NODES_UP_S), *loop]
        player += ['--topics', *topics]
        if moved:
            player += ['--remap', *(f'{name}:={new_name}' for name, new_name in moved.items())]
    else:
        player = [sys.executable, '-m', 'avdet_ros.cli.replay_process', values['bag'], '--chain']
        player += ['--rate', rate, '--start', start, *loop]
        player += ['--namespace', graph.namespace] if moved else []
    program = 'ros2 bag play' if by_rosbag2 else 'avdet bag replay'
    begins = 'the whole chain from raw sound' if raw else 'from recorded spectrograms on'
    where = f', recorded as {source}, played as {moved[source]}' if moved else ''
    note = f'{Path(values["bag"]).name}: {begins}, {len(topics)} topics by {program}{where}'
    return ReplayPlan(graph, tuple(player), note)


def rosbag2_plays(bag: str) -> bool:
    """Return whether ``ros2 bag play`` and the storage plugin for this bag are installed.

    Args:
        bag: folder or file of the bag.
    """
    if shutil.which('ros2') is None or importlib.util.find_spec('ros2bag') is None:
        return False
    names = [Path(bag).name] + [path.name for path in Path(bag).glob('*')]
    storage = 'mcap' if any(name.endswith('.mcap') for name in names) else 'sqlite3'
    return ros_package_installed(f'rosbag2_storage_{storage}')
