"""Shared set-up of all tests: a DDS domain, the rig, a small model, and skipped tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
import fcntl
import importlib.util
import logging
import os
from pathlib import Path
import re
import shutil
import sys
import threading
from typing import Any

from helpers.models import save_model, small_network
import pytest

import avdet_ros
from avdet_ros.audio.features import FrontEnd
from avdet_ros.dds_domain import free_domain
from avdet_ros.rig import Rig, load_rig

HAS_ROS = importlib.util.find_spec('rclpy') is not None

# Each process has its own domain, so that two test runs on one machine (or two pytest-xdist
# workers) never receive each other's messages; nothing leaves the machine. Both variables must be
# set before rclpy is imported.
os.environ['ROS_DOMAIN_ID'] = str(free_domain())
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
# Tests that run `avdet` or `python` as a command use those of this interpreter.
os.environ['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])

if not HAS_ROS:
    collect_ignore = [
        'nodes',
        'bench/test_faults.py',
        'integration/test_access_policy.py',
        'integration/test_outside_node.py',
    ]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make test` runs tests with marker ros separately: a run imports only the files it needs."""
    wanted, name = config.getoption('markexpr'), collection_path.name
    if 'ros' not in wanted.split() or not (name.startswith('test_') and name.endswith('.py')):
        return None
    if any('.py' in arg for arg in config.args):  # files given by name are collected
        return None
    text = collection_path.read_text(encoding='utf-8')
    if 'not ros' in wanted:  # all of its tests have the marker
        return True if re.search(r'^pytestmark = \[?\s*pytest\.mark\.ros\b', text, re.M) else None
    return None if 'mark.ros' in text else True


def pytest_configure(config: pytest.Config) -> None:
    """Let one worker of a fresh clone compile a numba function; the others load it."""
    if not hasattr(config, 'workerinput'):
        return
    from numba.core.dispatcher import Dispatcher

    alone, depth, thread_lock = Dispatcher.compile, 0, threading.RLock()
    held = os.open(Path(avdet_ros.__file__).parent, os.O_RDONLY)

    def compile_once(self: Any, signature: Any) -> Any:
        nonlocal depth
        with thread_lock:  # a function compiles those that it calls
            if depth == 0:
                fcntl.flock(held, fcntl.LOCK_EX)
            depth += 1
            try:
                return alone(self, signature)
            finally:
                depth -= 1
                if depth == 0:
                    fcntl.flock(held, fcntl.LOCK_UN)

    Dispatcher.compile = compile_once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that cannot run here, with the reason; rerun tests that depend on time once."""
    if 'PYTEST_XDIST_WORKER' in os.environ:  # long files first, so that workers end together
        slow = Counter(item.path for item in items if item.get_closest_marker('slow'))
        items.sort(key=lambda item: -slow[item.path])
    has_gpu = shutil.which('nvidia-smi') is not None
    for item in items:
        if item.get_closest_marker('ros') and not HAS_ROS:
            item.add_marker(pytest.mark.skip(reason='rclpy is not installed here'))
        if item.get_closest_marker('timing'):
            item.add_marker(pytest.mark.flaky(reruns=1))
        if item.get_closest_marker('gpu') and not has_gpu:
            item.add_marker(pytest.mark.skip(reason='no CUDA device on this machine'))


@pytest.fixture(scope='session')
def rig() -> Rig:
    """The rig that the package ships."""
    return load_rig()


@pytest.fixture(scope='session')
def front_end() -> FrontEnd:
    """The front end with twelve pairs of microphones."""
    return FrontEnd()


@pytest.fixture(scope='session')
def model_path(tmp_path_factory, rig, front_end) -> Path:
    """A small real network in a file."""
    path = tmp_path_factory.mktemp('model') / 'small.onnx'
    return save_model(small_network(rig, front_end), path)


@pytest.fixture(scope='session')
def drives(tmp_path_factory) -> Path:
    """Six short drives in the MAVD layout."""
    from helpers.drives import write_drives

    return write_drives(tmp_path_factory.mktemp('drives'))


@pytest.fixture
def avdet(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run a command line in this process; returns exit status, output and error output."""
    from avdet_ros.cli.main import main

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr('sys.argv', ['avdet', *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture(autouse=True)
def package_log() -> Iterator[None]:
    """Reset the log of the package, which commands and nodes set up, around each test."""
    _as_imported(logging.getLogger('avdet_ros'))
    yield
    _as_imported(logging.getLogger('avdet_ros'))


def _as_imported(logger: logging.Logger) -> None:
    for handler in logger.handlers[:]:
        if type(handler).__module__.startswith('avdet_ros'):
            logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """The lines that the package logs during a test."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, handler = logging.getLogger('avdet_ros'), Lines()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
