"""Find the package's own files, in a checkout or in an installed share folder."""

from __future__ import annotations

import logging
from pathlib import Path

from avdet_ros.errors import AvdetError

_logger = logging.getLogger(__name__)

DEFAULT_MODEL = 'models/student.onnx'
"""Default model of nodes and commands; it fits any eight microphones."""


def share(name: str) -> Path:
    """Return the path of a file that ships with the package.

    Args:
        name: relative to the package's share folder, e.g. ``config/rig.yaml``.

    Raises:
        AvdetError: the file is neither in the checkout nor in an installed share folder.
    """
    checkout = Path(__file__).resolve().parent.parent / name
    if checkout.exists():
        return checkout
    try:
        from ament_index_python.packages import get_package_share_directory

        installed = Path(get_package_share_directory('avdet_ros')) / name
    except (ImportError, LookupError, OSError):  # no ROS, or no sourced workspace
        installed = None
    if installed is not None and installed.exists():
        return installed
    places = ' or '.join(str(place) for place in (checkout, installed) if place)
    raise AvdetError(f'{name} of the package avdet_ros: expected at {places}, found nothing')


FORMER_NAMES = {
    'models/any_array.onnx': DEFAULT_MODEL,
    'models/any_array_int8.onnx': 'models/student_int8.onnx',
}
"""Current names of shipped files by their former names."""


def found_or_shipped(path: str | Path) -> Path:
    """Return a path if the file exists, else the path of the package's own file of that name.

    So ``models/student.onnx`` is found from any folder, including a colcon workspace. A former
    name leads to the renamed file, with a warning.

    Args:
        path: path of a file; it is returned unchanged if neither file exists.
    """
    path = Path(path)
    if path.exists() or path.is_absolute() or '..' in path.parts:
        return path
    name = FORMER_NAMES.get(path.as_posix(), str(path))
    try:
        found = share(name)
    except AvdetError:
        return path
    if name != str(path):
        _logger.warning('%s is called %s now', path, name)
    return found


def ros_package_installed(name: str) -> bool:
    """Return whether a ROS package is in the sourced workspaces."""
    try:
        from ament_index_python.packages import get_package_prefix

        get_package_prefix(name)
    except (ImportError, LookupError, OSError, ValueError):  # no ROS, no workspace, no package
        return False
    return True
