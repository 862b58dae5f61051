"""Compile vision_msgs, which no wheel holds, with the build system that the ROS wheels bring.

It is installed into the environment itself, beside the messages of the wheels: Python, the
dynamic linker and the type support find it as they find those, with nothing sourced.
"""

from __future__ import annotations

import os
from pathlib import Path
import shutil

from commands import SetupError, answers, run

SOURCE = Path(__file__).resolve().parent / 'vision_msgs'

# Folders of the machine that built the wheels, as they stand in the CMake exports.
THEIR_PYTHON = '/opt/python/cp311-cp311/include/python3.11'
THEIR_NUMPY = '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include'


def build(venv: Path, scratch: Path) -> None:
    """Compile tools/vision_msgs and install it into the environment.

    Args:
        venv: environment with the wheels of requirements/ros.txt.
        scratch: folder for the build tree and the log.

    Raises:
        SetupError: no compiler, no Python headers, or the build failed.
    """
    if not shutil.which('g++'):
        raise SetupError('no C++ compiler to build vision_msgs with: apt-get install g++')
    python = str(venv / 'bin' / 'python')
    adapt_exports(venv, python)
    tree = scratch / 'vision_msgs'
    shutil.rmtree(tree, ignore_errors=True)
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
    run([cmake, '-G', 'Ninja', '-S', str(SOURCE), '-B', str(tree), *defines], log, tools)
    run([cmake, '--build', str(tree)], log, tools)
    run([cmake, '--install', str(tree)], log, tools)
    if not answers(python, '-c', 'from vision_msgs.msg import Detection2DArray, LabelInfo'):
        raise SetupError(f'vision_msgs was built but does not import (the build: {log})')
    shutil.rmtree(tree)


def adapt_exports(venv: Path, python: str) -> None:
    """Write this machine's Python and numpy folders into the wheels' CMake exports.

    Raises:
        SetupError: this Python came without its headers.
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
        ours = text.replace(THEIR_NUMPY, numpy).replace(THEIR_PYTHON, include)
        if ours != text:
            path.write_text(ours, encoding='utf-8')
