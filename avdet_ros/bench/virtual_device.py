"""A virtual eight-channel microphone device: a private PulseAudio server with a null sink.

Sound played into it comes out of a capture device named `DEVICE`, in real time, through the same
ALSA and PortAudio code as the channels of a sound card. Tests, benchmarks and fault injection use
it; it also helps to try live operation before the array is built.
"""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Self

from avdet_ros.errors import AvdetError
from avdet_ros.sources.channel_map import ALSA_ORDER

DEVICE = 'array8'
"""Name of the capture device."""

_ALSA_CONFIGURATION = """\
</usr/share/alsa/alsa.conf>
pcm.{device} {{
    type pulse
    server "unix:{socket}"
    device "{source}"
    hint {{ show on  description "eight microphones without hardware" }}
}}
"""


def missing_programs() -> list[str]:
    """Return the names of the required programs that are not installed."""
    return [name for name in ('pulseaudio', 'paplay') if shutil.which(name) is None]


class VirtualDevice:
    """A private sound server; as a context manager, it starts and stops the server.

    Attributes:
        environment: variables that a process needs to see the device. They must be set before
            the process first loads PortAudio (or rescans, see `device.rescan`).
    """

    SOURCE = f'{DEVICE}.monitor'
    """Name of the device inside the sound server."""

    def __init__(self, sample_rate_hz: int = 44100, channels: int = 8) -> None:
        self._sample_rate_hz = sample_rate_hz
        self._channels = channels
        # A socket's path may have at most 107 characters, so avoid long temporary folders.
        self._folder = Path(tempfile.mkdtemp(prefix='avdet-', dir='/tmp'))
        self._socket = self._folder / 'native'
        self._server: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []
        configuration = self._folder / 'asound.conf'
        configuration.write_text(
            _ALSA_CONFIGURATION.format(device=DEVICE, socket=self._socket, source=self.SOURCE)
        )
        self.environment = {'ALSA_CONFIG_PATH': str(configuration)}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, channels: int | None = None) -> None:
        """Start the server, with a different number of channels if given.

        Raises:
            AvdetError: a program is not installed, or the server does not start.
        """
        if missing := missing_programs():
            raise AvdetError(
                f'the virtual device needs {" and ".join(missing)}: '
                'apt install pulseaudio pulseaudio-utils libasound2-plugins'
            )
        self._channels = channels or self._channels
        protocol = f'module-native-protocol-unix auth-anonymous=1 socket={self._socket}'
        self._socket.unlink(missing_ok=True)
        command = [
            'pulseaudio',
            '-n',
            '--daemonize=no',
            '--exit-idle-time=-1',
            '--disable-shm=yes',
            '--use-pid-file=no',
            '--log-level=error',
            '-L',
            protocol,
            '-L',
            self._module(),
        ]
        self._server = subprocess.Popen(
            command,
            env=self._private_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / 'server.log').open('a'),
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        while not self._socket.exists():
            if self._server.poll() is not None or time.monotonic() > deadline:
                log = (self._folder / 'server.log').read_text()[-300:].strip()
                raise AvdetError(f'the virtual device: pulseaudio did not start: {log}')
            time.sleep(0.02)

    def _module(self) -> str:
        """Return the module that the server loads."""
        return (
            f'module-null-sink sink_name={DEVICE} rate={self._sample_rate_hz} '
            f'channels={self._channels} channel_map={self._channel_map()}'
        )

    def _channel_map(self) -> str:
        return ','.join(ALSA_ORDER[: self._channels])

    def play(self, path: str | Path) -> subprocess.Popen[bytes]:
        """Play a sound file into the device, channel by channel, in the background."""
        player = subprocess.Popen(
            [
                'paplay',
                f'--server=unix:{self._socket}',
                f'--device={DEVICE}',
                f'--channel-map={self._channel_map()}',
                str(path),
            ],
            env=self._private_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._players.append(player)
        return player

    def kill(self) -> None:
        """Kill the server, as if the device were unplugged."""
        for process in (*self._players, self._server):
            if process is not None:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)
                process.wait()
        self._players.clear()
        self._server = None

    def freeze(self) -> None:
        """Let the server hang: it runs but does not respond."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the hanging server continue."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._server is not None, 'the virtual device has not been started'
        self._server.send_signal(number)

    def close(self) -> None:
        """Stop the server and remove its files."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _private_environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {**os.environ, 'HOME': folder, 'XDG_RUNTIME_DIR': folder}
