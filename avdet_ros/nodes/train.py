"""`ros2 run avdet_ros train --ros-args -p recipe:=config/recipes/simulated_labels.yaml`.

The same as `avdet train`: what that command takes as arguments is taken as parameters.
"""

from __future__ import annotations

import sys

from avdet_ros.errors import AvdetError


def main() -> None:
    """Train; errors that the user can mend are one sentence and exit status 1."""
    import rclpy

    rclpy.init(args=sys.argv)
    try:
        arguments = _arguments()
    finally:
        rclpy.try_shutdown()
    from avdet_ros.cli.train import train

    try:
        train(**arguments)
    except AvdetError as error:
        sys.exit(f'error: {error}')
    except KeyboardInterrupt:
        sys.exit(130)


def _arguments() -> dict:
    """Parameters as the command's arguments; the node exists only to read them."""
    from pathlib import Path

    from rclpy.node import Node

    node = Node('train')
    try:
        texts = {
            name: node.declare_parameter(name, '').value
            for name in ('recipe', 'data', 'out', 'rig')
        }
        choices = {
            name: node.declare_parameter(name, True).value for name in ('resume', 'progress')
        }
    finally:
        node.destroy_node()
    if not texts['recipe']:
        from avdet_ros.paths import share

        texts['recipe'] = str(share('config/recipes/simulated_labels.yaml'))
    return {**{name: Path(text) if text else None for name, text in texts.items()}, **choices}


if __name__ == '__main__':
    main()
