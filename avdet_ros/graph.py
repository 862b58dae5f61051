"""The node graph, described once: `ros2 launch` and `avdet run` are both made from this module.

An argument overrides the parameter file. An argument with its default value counts as not given:
then the file's value applies or, if the file has none, the node's own default, which is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
import re
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param, find
from avdet_ros.parameters import NODES, OF_SOURCES, REAL_TIME
from avdet_ros.quoting import did_you_mean
from avdet_ros.sources.simulated import SimulationSource

PACKAGE = 'avdet_ros'
_ALL = ('capture', 'detector', 'tracker', 'overlay')

COMPOSED = 'composed'
"""The process of several nodes, and the argument that asks for it."""

_TOGETHER = ('capture', 'detector', 'tracker')

CAMERA_TOPIC = 'camera/image_raw'
"""Topic on which node camera publishes its colour pictures."""


@dataclass(frozen=True)
class Argument:
    """One argument of the graph.

    Attributes:
        param: name, default, description and allowed values.
        sets: (node, parameter) pairs that receive its value; empty if it shapes the graph itself.
    """

    param: Param
    sets: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """Name as typed on the command line."""
        return self.param.name

    @property
    def default(self) -> str:
        """The default as text."""
        return as_text(self.param.default)

    @property
    def choices(self) -> tuple[str, ...]:
        """All allowed values as text; empty when there are too many to list."""
        if self.param.kind is bool:
            return ('true', 'false')
        return () if self.param.kind is list else self.param.choices

    @property
    def description(self) -> str:
        """Description in one sentence, with the allowed values unless `choices` lists them."""
        if self.choices or self.param.expected() == 'a text':
            return self.param.description
        return f'{self.param.description} ({self.param.expected()})'


def _from_parameter(
    node: str, parameter: str, name: str = '', also: tuple[str, ...] = ()
) -> Argument:
    """Make an argument from a node's parameter, under `name` if given, shared with `also`."""
    param = find(NODES[node], parameter)
    renamed = Param(**{**vars(param), 'name': name or parameter})
    return Argument(renamed, tuple((name, parameter) for name in (node, *also)))


SOURCE_ARGUMENTS = tuple(
    _from_parameter(
        'capture',
        param.name,
        param.name.removesuffix('_s'),
        also=('camera',) if param in NODES['camera'] else (),
    )
    for param in OF_SOURCES
)
"""Arguments for the parameters of the sources."""

ARGUMENTS = (
    _from_parameter('capture', 'source'),
    *SOURCE_ARGUMENTS,
    Argument(
        Param(
            'camera', False, 'also run node camera, which publishes images of the simulated drive'
        )
    ),
    _from_parameter('camera', 'rate_hz', 'camera_rate'),
    _from_parameter('camera', 'modalities', 'camera_modalities'),
    _from_parameter('capture', 'hop_s', 'hop'),
    _from_parameter('detector', 'model', also=('capture',)),
    _from_parameter('detector', 'providers'),
    _from_parameter('detector', 'tensorrt_cache'),
    _from_parameter('detector', 'min_score'),
    _from_parameter('tracker', 'tracker'),
    _from_parameter('tracker', 'start_score'),
    Argument(find(NODES['capture'], 'rig'), tuple((node, 'rig') for node in (*_ALL, 'camera'))),
    Argument(Param('overlay', True, 'run node overlay, which draws images and markers')),
    Argument(Param('image', '', 'topic of the camera image, for the overlay; empty: image')),
    Argument(
        Param('odom', '', "nav_msgs/Odometry topic with the ego vehicle's motion; empty: odom")
    ),
    Argument(
        Param(
            'map', '', 'nav_msgs/OccupancyGrid topic with obstacles around the vehicle; empty: map'
        )
    ),
    _from_parameter('tracker', 'ego_motion', also=('detector',)),
    _from_parameter('detector', 'air_temperature_c', 'air_temperature'),
    Argument(
        Param('record', '', 'folder of a new bag to record into; empty: no recording'),
        (('recorder', 'path'),),
    ),
    _from_parameter('recorder', 'topics', 'record_topics'),
    Argument(Param('rviz', False, "open RViz and publish the rig's frames (ros2 launch only)")),
    Argument(Param('tf', False, "publish the rig's frames even without RViz (ros2 launch only)")),
    Argument(Param('namespace', 'avdet', 'namespace of nodes and topics')),
    Argument(
        Param('autostart', True, 'nodes configure and activate automatically'),
        tuple((node, 'autostart') for node in NODES),
    ),
    _from_parameter('capture', REAL_TIME.name, also=('detector', 'tracker')),
    Argument(
        Param(COMPOSED, False, 'run capture, detector and tracker in one process instead of three')
    ),
    Argument(Param('respawn', True, 'restart a node when it dies')),
    Argument(Param('use_sim_time', False, 'use the time published on /clock')),
    Argument(
        Param(
            'params_file',
            '',
            'parameter file for values that the arguments leave at their defaults; '
            "empty: the package's config/avdet.yaml",
        )
    ),
    Argument(
        Param(
            'log_level',
            'info',
            'lowest severity that is logged',
            choices=('debug', 'info', 'warn', 'error'),
        )
    ),
)
"""Every argument, in the order shown to users."""


@dataclass(frozen=True)
class NodeSpec:
    """One node of the graph.

    Attributes:
        name: name of the node and of its executable.
        parameters: values by name, for parameters that differ from the node's defaults.
        remappings: new topic names by relative name.
    """

    name: str
    parameters: dict[str, Any] = field(default_factory=dict)
    remappings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProcessSpec:
    """One process of the graph.

    Attributes:
        name: name of the executable: its node's name, or `COMPOSED`.
        nodes: one or more.
    """

    name: str
    nodes: tuple[NodeSpec, ...]


@dataclass(frozen=True)
class Graph:
    """The nodes to run, and how to start them.

    Attributes:
        nodes: each runs in its own process, except those in `together`.
        namespace: absolute, e.g. ``/avdet``.
        params_file: path of the parameter file.
        respawn: whether nodes that die are restarted.
        log_level: debug, info, warn or error.
        rviz: whether RViz is opened; its processes are those of `avdet_ros.rviz`.
        tf: whether the rig's frames are published even without RViz.
        rig: path of the rig file, '' for the package's.
        together: names of nodes that share one process.
    """

    nodes: tuple[NodeSpec, ...]
    namespace: str
    params_file: str
    respawn: bool
    log_level: str
    rviz: bool = False
    tf: bool = False
    rig: str = ''
    together: tuple[str, ...] = ()

    @property
    def processes(self) -> tuple[ProcessSpec, ...]:
        """Processes to start; a process with several nodes comes first."""
        shared = tuple(node for node in self.nodes if node.name in self.together)
        if len(shared) < 2:
            shared = ()
        alone = (ProcessSpec(node.name, (node,)) for node in self.nodes if node not in shared)
        return ((ProcessSpec(COMPOSED, shared),) if shared else ()) + tuple(alone)


def as_text(value: Any) -> str:
    """Format a parameter's value as typed on the command line."""
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, list | tuple):
        return ','.join(value)
    return str(value)


def parse_arguments(words: list[str]) -> dict[str, str]:
    """Parse ``name:=value`` words into a dictionary.

    Raises:
        AvdetError: a word has another form or an unknown argument name.
    """
    values = {}
    for word in words:
        name, separator, value = word.partition(':=')
        if not separator:
            raise AvdetError(f'{word}: expected an argument as name:=value')
        names = [argument.name for argument in ARGUMENTS]
        if name not in names:
            hint = did_you_mean(name, names) or f'; there are {", ".join(names)}'
            raise AvdetError(f'{name}: expected a known argument, found an unknown one{hint}')
        values[name] = value
    return values


def make_graph(arguments: Mapping[str, str]) -> Graph:
    """Make the graph from its arguments.

    Args:
        arguments: values as text by argument name; missing arguments take their defaults.

    Raises:
        AvdetError: a value is not allowed.
    """
    values = {}
    for argument in ARGUMENTS:
        values[argument.name] = argument.param.parse(
            arguments.get(argument.name, argument.default)
        )
    namespace = '/' + values['namespace'].strip('/')
    if not re.fullmatch(r'/|(/[A-Za-z_][A-Za-z0-9_]*)+', namespace):
        raise AvdetError(
            f'namespace: expected letters, digits and underscores, found {values["namespace"]!r}'
        )
    names = [name for name in _ALL if name != 'overlay' or values['overlay']]
    if values['camera']:
        if values['source'] != SimulationSource.name:
            raise AvdetError(
                f'camera:=true: expected source:=simulation, found {values["source"]}; '
                "a real camera's topic is named by image:="
            )
        names.append('camera')
        values['image'] = values['image'] or CAMERA_TOPIC
    if values['record']:
        names.append('recorder')
    nodes = tuple(_node(name, values) for name in names)
    params_file = values['params_file'] or _default_params_file()
    return Graph(
        nodes,
        namespace,
        params_file,
        values['respawn'],
        values['log_level'],
        values['rviz'],
        values['tf'],
        values['rig'],
        _TOGETHER if values[COMPOSED] else (),
    )


def _node(name: str, values: dict[str, Any]) -> NodeSpec:
    parameters = {
        parameter: values[argument.name]
        for argument in ARGUMENTS
        for node, parameter in argument.sets
        if node == name and values[argument.name] != argument.param.default
    }
    if values['use_sim_time']:
        parameters['use_sim_time'] = True
    remappings = {}
    if values['odom'] and name in ('detector', 'tracker', 'recorder'):
        remappings['odom'] = values['odom']
    if values['map'] and name == 'tracker':
        remappings['map'] = values['map']
    if values['image'] and name in ('overlay', 'recorder'):
        remappings['image'] = values['image']
        # Cameras publish camera_info next to their pictures, under the same prefix.
        base, slash, _ = values['image'].removesuffix('/compressed').rpartition('/')
        remappings['camera_info'] = f'{base}{slash}camera_info'
    return NodeSpec(name, parameters, remappings)


def _default_params_file() -> str:
    from avdet_ros.paths import share

    return str(share('config/avdet.yaml'))
