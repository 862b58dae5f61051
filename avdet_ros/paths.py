"""Where the package's own files are: in a checkout, or in an installed share folder."""

from __future__ import annotations

import logging
from pathlib import Path

from avdet_ros.errors import AvdetError

_logger = logging.getLogger(__name__)

DEFAULT_MODEL = 'models/student.onnx'
"""What nodes and commands take where no model is named; it fits any eight microphones."""


def share(name: str) -> Path:
    """Path of a file that ships with the package.

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
"""What shipped files were called before."""


def found_or_shipped(path: str | Path) -> Path:
    """A file as it is named, or else the package's own of that name.

    So that ``models/student.onnx`` is found from any folder, a colcon workspace's too. A former
    name finds what it was the name of, with a warning.

    Args:
        path: of a file; what is not there and does not ship stays as it is.
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
    """Whether a package of ROS is in the sourced workspaces."""
    try:
        from ament_index_python.packages import get_package_prefix

        get_package_prefix(name)
    except (ImportError, LookupError, OSError, ValueError):  # no ROS, no workspace, no package
        return False
    return True
