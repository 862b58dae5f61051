"""The process that a simulated drive's sound comes from: rendered, or read from a written drive.

A program of its own and not a thread or a fork of the node: it must not hold up the features of
the windows computed meanwhile, and the threads of ROS would not survive a fork.
"""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from avdet_ros.process import NICENESS, keep_freed_memory, lower_priority

if TYPE_CHECKING:
    from avdet_ros.simulation.scene import Scene

CHUNK_S = 0.25
"""Sound rendered at a time."""

SOUND_NICENESS = NICENESS // 2
"""After the nodes, but before a simulated drive's pictures: without sound nothing is heard."""

SOUND, END = b'S', b'E'
"""First byte of a message: three more and float32 (n, 8), or why there is no more, if not done."""


def start_renderer(
    sound_from: Scene | Path, total: int, rate_hz: int
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the process.

    Args:
        sound_from: the drive, or the sound file of a written one.
        total: samples of the whole.
        rate_hz: samples a second.

    Returns:
        The process, which ends with its reader, and the connection to read from.
    """
    ours, theirs = Pipe()
    process = subprocess.Popen(
        [sys.executable, '-m', 'avdet_ros.sources.render_process', str(theirs.fileno())],
        pass_fds=(theirs.fileno(),),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    theirs.close()
    ours.send((sound_from, total, rate_hz))
    return process, ours


def main() -> None:
    """Take the task, send the sound; a pipe that is broken ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the reader's to answer
    keep_freed_memory()
    with Connection(int(sys.argv[1])) as reader:
        try:
            for number, sound in enumerate(_chunks(*reader.recv())):
                reader.send_bytes(SOUND + bytes(3) + np.ascontiguousarray(sound, 'f4').tobytes())
                if not number:  # not before: on a busy machine the first would take minutes
                    lower_priority(SOUND_NICENESS)
            reader.send_bytes(END)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            pass
        except Exception as error:  # the reader must know, whatever it is
            reader.send_bytes(END + f'{error}'.encode()[:500])


def _chunks(sound_from: Scene | Path, total: int, rate_hz: int) -> Iterator[np.ndarray]:
    """(n, 8) float32 pieces of a drive, in their order."""
    step = round(CHUNK_S * rate_hz)
    if isinstance(sound_from, Path):
        import soundfile

        yield from soundfile.blocks(
            sound_from, step, dtype='float32', always_2d=True, frames=total
        )
        return
    from avdet_ros.simulation.sound import render_sound

    for start in range(0, total, step):
        count = min(step, total - start)
        yield render_sound(sound_from, start / rate_hz, count / rate_hz).T


if __name__ == '__main__':
    main()
