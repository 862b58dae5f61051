"""`ros2 run avdet_ros train --ros-args -p recipe:=config/recipes/simulated_labels.yaml`.

The same as `avdet train student`: what that command takes as arguments is taken as parameters.
"""

from __future__ import annotations

from pathlib import Path
import sys

from avdet_ros.errors import AvdetError
from avdet_ros.paths import share
from avdet_ros.quoting import did_you_mean

PATHS = ('recipe', 'data', 'out', 'rig')
CHOICES = ('resume', 'progress')
OF_EVERY_NODE = ('use_sim_time', 'start_type_description_service')


def main() -> None:
    """Train; errors that the user can mend are one sentence and exit status 1."""
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


def _arguments() -> dict:
    """Parameters as the command's arguments; the node exists only to read them."""
    from rclpy.node import Node

    node = Node('train', automatically_declare_parameters_from_overrides=True)
    try:
        given = {name: item.value for name, item in node.get_parameters_by_prefix('').items()}
    finally:
        node.destroy_node()
    arguments = dict.fromkeys(PATHS) | dict.fromkeys(CHOICES, True)
    for name, value in given.items():
        if name in OF_EVERY_NODE:
            continue
        if name not in arguments:
            raise AvdetError(
                f'parameter {name}: expected one of {", ".join(arguments)}, found another'
                + did_you_mean(name, arguments)
            )
        kind, wanted = (str, 'a path') if name in PATHS else (bool, 'true or false')
        if not isinstance(value, kind):
            raise AvdetError(f'parameter {name}: expected {wanted}, found {value!r}')
        arguments[name] = value if name in CHOICES else Path(value) if value else None
    arguments['recipe'] = arguments['recipe'] or share('config/recipes/simulated_labels.yaml')
    return arguments


if __name__ == '__main__':
    main()
