"""The process that delivers a simulated drive's sound, rendered or read from a written drive.

It is a separate program and not a thread or a fork of the node: it must not delay the features of
windows computed at the same time, and the threads of ROS would not survive a fork.
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
"""Length of the sound rendered at a time."""

SOUND_NICENESS = NICENESS // 2
"""Below the nodes' priority, but above that of a simulated drive's pictures, as sound matters
more."""

SOUND, END = b'S', b'E'
"""First byte of a message. `SOUND`: three more bytes and float32 (n, 8) follow. `END`: the reason
follows if the end is early."""


def start_renderer(
    sound_from: Scene | Path, total: int, rate_hz: int
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the process.

    Args:
        sound_from: the drive to render, or the sound file of a written drive.
        total: number of samples of the whole drive.
        rate_hz: samples per second.

    Returns:
        The process, which ends when its reader does, and the connection to read from.
    """
    parent_end, child_end = Pipe()
    process = subprocess.Popen(
        [sys.executable, '-m', 'avdet_ros.sources.render_process', str(child_end.fileno())],
        pass_fds=(child_end.fileno(),),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    child_end.close()
    parent_end.send((sound_from, total, rate_hz))
    return process, parent_end


def main() -> None:
    """Receive the task and send the sound, until the end or until the pipe breaks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the reader handles Ctrl-C
    keep_freed_memory()
    with Connection(int(sys.argv[1])) as reader:
        try:
            for number, sound in enumerate(_chunks(*reader.recv())):
                reader.send_bytes(SOUND + bytes(3) + np.ascontiguousarray(sound, 'f4').tobytes())
                if not number:  # not earlier: on a busy machine the first chunk would take minutes
                    lower_priority(SOUND_NICENESS)
            reader.send_bytes(END)
        except (BrokenPipeError, ConnectionResetError, EOFError):
            pass
        except Exception as error:  # the reader must learn of any error
            reader.send_bytes(END + f'{error}'.encode()[:500])


def _chunks(sound_from: Scene | Path, total: int, rate_hz: int) -> Iterator[np.ndarray]:
    """Yield (n, 8) float32 pieces of a drive, in order."""
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
