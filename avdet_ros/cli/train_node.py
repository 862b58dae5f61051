"""`ros2 run avdet_ros train --ros-args -p recipe:=config/recipes/simulated_labels.yaml`.

The same as `avdet train student`, with parameters in place of the arguments.
"""

from __future__ import annotations

from pathlib import Path
import sys
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.fields import Param, find
from avdet_ros.nodes.command_line import take_words
from avdet_ros.paths import share

PARAMS = (
    Param('recipe', '', "recipe file; empty: the package's config/recipes/simulated_labels.yaml"),
    Param('data', '', 'drives in the MAVD layout; of labels: simulated the windows'),
    Param('out', '', "run folder; empty: runs/ and the recipe's name"),
    Param('rig', '', "rig file to train for; empty: the package's config/rig.yaml"),
    Param('resume', True, 'continue in the run folder; false empties it'),
    Param('progress', True, 'draw progress bars'),
)
"""Arguments of `avdet train student`, as parameters."""

OF_EVERY_NODE = ('use_sim_time', 'start_type_description_service')


def main() -> None:
    """Train; a user error prints one sentence and exits with status 1."""
    about = 'Train a model: the same as avdet train student.'
    take_words('train', about, PARAMS, sys.argv)
    import rclpy

    rclpy.init(args=sys.argv)
    try:
        try:
            arguments = _arguments()
        finally:
            rclpy.try_shutdown()
        from avdet_ros.cli.console import set_up_logging
        from avdet_ros.cli.train_student import train

        set_up_logging()
        train(**arguments)
    except AvdetError as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        sys.exit(130)


def _arguments() -> dict[str, Any]:
    """Return the parameters as the command's arguments; the node exists only to read them."""
    from rclpy.node import Node

    node: Any = Node('train', automatically_declare_parameters_from_overrides=True)
    try:
        ros_values = {name: item.value for name, item in node.get_parameters_by_prefix('').items()}
    finally:
        node.destroy_node()
    values = {param.name: param.default for param in PARAMS}
    for name, value in ros_values.items():
        if name not in OF_EVERY_NODE:
            values[name] = find(PARAMS, name).check(value)
    arguments = {
        name: value if isinstance(value, bool) else Path(str(value)) if value else None
        for name, value in values.items()
    }
    arguments['recipe'] = arguments['recipe'] or share('config/recipes/simulated_labels.yaml')
    return arguments


if __name__ == '__main__':
    main()
