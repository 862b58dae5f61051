"""Find missing system packages, and install them with apt if allowed."""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import os
from pathlib import Path
import shutil

from commands import SetupError, answers, run, say


def has_library(name: str) -> bool:
    """Return whether the dynamic linker finds a library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def has_alsa_pulse() -> bool:
    """Return whether ALSA can open PulseAudio's devices."""
    places = (Path('/usr/lib'), Path('/usr/lib64'))
    return any(next(p.glob('**/alsa-lib/libasound_module_pcm_pulse.so'), None) for p in places)


RUNNING: dict[str, Callable[[], bool]] = {
    'g++': lambda: shutil.which('g++') is not None,
    'libportaudio2': lambda: has_library('libportaudio.so.2'),
}
TESTING: dict[str, Callable[[], bool]] = {
    'pulseaudio': lambda: shutil.which('pulseaudio') is not None,
    'pulseaudio-utils': lambda: shutil.which('paplay') is not None,
    'libasound2-plugins': has_alsa_pulse,
}


def ensure(target: str, scratch: Path) -> None:
    """Install missing packages, or print what to install and continue.

    Args:
        target: 'runtime' or 'tests'.
        scratch: folder for the log and for the list of installed packages.
    """
    checks = RUNNING if target == 'runtime' else {**RUNNING, **TESTING}
    missing = [name for name, is_here in checks.items() if not is_here()]
    if not missing:
        return
    names = ' '.join(missing)
    prefix = [] if os.geteuid() == 0 else ['sudo', '-n']
    allowed = shutil.which('apt-get') and (not prefix or answers('sudo', '-n', 'true'))
    if allowed:
        say(f'system packages {names} ...')
        apt = [*prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-q']
        install = [*apt, 'install', '--yes', '--no-install-recommends', *missing]
        try:
            run([*apt, 'update'], scratch / 'setup.log')
            run(install, scratch / 'setup.log')
        except SetupError as error:
            say(str(error))
        else:
            with (scratch / 'system-packages').open('a') as note:
                note.write(names + '\n')
            return
    say(f'these system packages are missing, please install them: apt-get install {names}')
