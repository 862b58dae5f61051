"""Run the programs that set-up needs; output goes to a log, progress to the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
from pathlib import Path
import shutil
import subprocess
import time

HEARTBEAT_S = 15.0


class SetupError(Exception):
    """Set-up cannot continue; the message tells the user what to do."""


def say(line: str) -> None:
    """Print one line of progress immediately."""
    print(f'setup: {line}', flush=True)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without variables of another ROS wheel environment."""
    drop = ('_ROS_WHEELS_BOOTSTRAP_COMPLETE', 'PYTHONHOME', 'VIRTUAL_ENV')
    environment = {key: value for key, value in os.environ.items() if key not in drop}
    if '_ROS_WHEELS_BOOTSTRAP_COMPLETE' in os.environ:
        environment.pop('LD_LIBRARY_PATH', None)
    return environment


def answers(*command: str) -> str:
    """Return the output of a short command, or '' if it is missing or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=clean_environment()
        )
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return (done.stdout.strip() or 'yes') if done.returncode == 0 else ''


def need_space(folder: Path, need_gb: float) -> None:
    """Check that there is enough disk space before anything is downloaded.

    Args:
        folder: folder to be written to.
        need_gb: space needed, in GB (10^9 bytes).

    Raises:
        SetupError: there is less space.
    """
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < need_gb:
        raise SetupError(
            f'{folder}: expected {need_gb:.0f} GB of free disk for the remaining packages, '
            f'found {free_gb:.1f}: make room and run this again to continue'
        )


def run(command: Sequence[str], log: Path, extra: Mapping[str, str] | None = None) -> None:
    """Run a long command; its output goes to the log, and the user sees a line every 15 s.

    Args:
        command: program and arguments.
        log: file to which the output is appended.
        extra: additional environment variables.

    Raises:
        SetupError: the command failed; the message has its last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('ab') as output:
        output.write(f'\n$ {" ".join(command)}\n'.encode())
        output.flush()
        start_of_output = output.tell()
        began_s = time.monotonic()
        child = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**clean_environment(), **(extra or {})},
        )
        try:
            while True:
                try:
                    child.wait(timeout=HEARTBEAT_S)
                    break
                except subprocess.TimeoutExpired:
                    say(f'      {Path(command[0]).name}: {time.monotonic() - began_s:.0f} s')
        except BaseException:
            child.terminate()
            child.wait()
            raise
    if child.returncode != 0:
        text = log.read_bytes()[start_of_output:].decode(errors='replace').strip()
        last = '\n'.join(text.splitlines()[-12:])
        program = Path(command[0]).name
        raise SetupError(f'{program} failed (all of it: {log}); its last lines:\n{last}')
