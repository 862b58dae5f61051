"""Compile the messages that no wheel contains, with the build system of the ROS wheels.

They are installed into the environment itself, next to the messages of the wheels. So Python, the
dynamic linker and the type support find them in the same way, without sourcing anything.
"""

from __future__ import annotations

import os
from pathlib import Path
import shutil

from commands import SetupError, answers, run

SOURCES = tuple(Path(__file__).resolve().parent / name for name in ('vision_msgs', 'tf2_msgs'))
"""One folder per package."""

_IMPORTS = (
    'from vision_msgs.msg import Detection2DArray, Detection3DArray, LabelInfo; '
    'from tf2_msgs.msg import TFMessage'
)

# Folders of the machine that built the wheels, as in the CMake exports.
BUILD_PYTHON = '/opt/python/cp311-cp311/include/python3.11'
BUILD_NUMPY = '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include'


def build(venv: Path, scratch: Path) -> None:
    """Compile the packages of `SOURCES` and install them into the environment.

    Args:
        venv: environment with the wheels of requirements/ros.txt.
        scratch: folder for the build tree and the log.

    Raises:
        SetupError: there is no compiler or no Python header, or the build failed.
    """
    if not shutil.which('g++'):
        raise SetupError(
            'no C++ compiler to build vision_msgs and tf2_msgs with: apt-get install g++'
        )
    python = str(venv / 'bin' / 'python')
    adapt_exports(venv, python)
    tools = {
        'PATH': os.pathsep.join([str(venv / 'bin'), os.environ.get('PATH', os.defpath)]),
        'AMENT_PREFIX_PATH': str(venv),
        'CMAKE_PREFIX_PATH': str(venv),
        'PYTHONPATH': '',
    }
    log = scratch / 'setup.log'
    cmake = str(venv / 'bin' / 'cmake')
    options = {
        'CMAKE_BUILD_TYPE': 'Release',
        'CMAKE_INSTALL_PREFIX': str(venv),
        'BUILD_TESTING': 'OFF',
        'Python3_EXECUTABLE': python,
        'Python3_FIND_VIRTUALENV': 'ONLY',
    }
    defines = [f'-D{key}={value}' for key, value in options.items()]
    for source in SOURCES:
        tree = scratch / source.name
        shutil.rmtree(tree, ignore_errors=True)
        run([cmake, '-G', 'Ninja', '-S', str(source), '-B', str(tree), *defines], log, tools)
        run([cmake, '--build', str(tree)], log, tools)
        run([cmake, '--install', str(tree)], log, tools)
        shutil.rmtree(tree)
    if not answers(python, '-c', _IMPORTS):
        raise SetupError(f'vision_msgs or tf2_msgs was built but does not import (build: {log})')


def adapt_exports(venv: Path, python: str) -> None:
    """Write this machine's Python and numpy folders into the wheels' CMake exports.

    Raises:
        SetupError: the headers of this Python are not installed.
    """
    include = answers(python, '-c', 'import sysconfig; print(sysconfig.get_paths()["include"])')
    numpy = answers(python, '-c', 'import numpy; print(numpy.get_include())')
    if not Path(include, 'Python.h').exists():
        raise SetupError(
            f'no Python.h in {include}, which building vision_msgs needs: '
            'apt-get install python3.11-dev'
        )
    for path in (venv / 'share').rglob('*.cmake'):
        text = path.read_text(encoding='utf-8')
        adapted = text.replace(BUILD_NUMPY, numpy).replace(BUILD_PYTHON, include)
        if adapted != text:
            path.write_text(adapted, encoding='utf-8')
