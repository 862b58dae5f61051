"""What every test shares: a DDS domain, the rig, a small model; and what cannot run here."""

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

# The domain is this process's, so that two test runs on one machine (or two pytest-xdist workers)
# never hear each other; nothing leaves the machine. Both must be set before rclpy is imported.
os.environ['ROS_DOMAIN_ID'] = str(free_domain())
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
# Tests that run `avdet` or `python` as a command mean those of this interpreter.
os.environ['PATH'] = os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])

if not HAS_ROS:
    collect_ignore = [
        'nodes',
        'bench/test_faults.py',
        'integration/test_access_policy.py',
        'integration/test_outside_node.py',
    ]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make test` runs the tests with marker ros apart: each run imports only files it needs."""
    wanted, name = config.getoption('markexpr'), collection_path.name
    if 'ros' not in wanted.split() or not (name.startswith('test_') and name.endswith('.py')):
        return None
    if any('.py' in arg for arg in config.args):  # who names files gets them
        return None
    text = collection_path.read_text(encoding='utf-8')
    if 'not ros' in wanted:  # all of its tests are
        return True if re.search(r'^pytestmark = \[?\s*pytest\.mark\.ros\b', text, re.M) else None
    return None if 'mark.ros' in text else True


def pytest_configure(config: pytest.Config) -> None:
    """Of two workers of a fresh clone one compiles a function of numba, the other loads it."""
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
    """Skip, with the reason, what cannot run here; run what depends on time once more."""
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
    """Runs a command line in this process, soon: exit status, output and error output."""
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
    """Commands and nodes set up the package's log; no test finds what another one left of it."""
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
