"""Find the order in which a sound server delivers a device's channels, from its channel map.

A server such as PulseAudio or PipeWire gives each channel a position: front-left, lfe, aux3.
ALSA's plugin requests channels by position, in ALSA's order and not the device's. So a device
whose channels are named in another order appears with swapped microphones, and one whose channels
have no positions (aux0, aux1, ...) is silent, both without any error. However, the server reports
the map, so the device's own order can be restored.
"""

from __future__ import annotations

from collections.abc import Sequence
import ctypes
from dataclasses import dataclass
import os
import re
import subprocess

ALSA_ORDER = (
    'front-left',
    'front-right',
    'rear-left',
    'rear-right',
    'front-center',
    'lfe',
    'side-left',
    'side-right',
)
"""Positions that ALSA's plugin requests; channels beyond these are aux0, aux1, ..."""

MOST_CHANNELS = 32
"""Number of channels that ALSA's plugin offers, regardless of the device."""

_TIMEOUT_S = 2.0
_DEEPEST = 8


@dataclass(frozen=True)
class ServerSource:
    """A sound server's source to which an ALSA device refers.

    Attributes:
        plugin: ``pulse`` or ``pipewire``.
        server: address of the server; '' for the default.
        source: name of the source; '' for the default.
    """

    plugin: str
    server: str
    source: str


@dataclass(frozen=True)
class Arrangement:
    """How to read the rig's channels from a device.

    Attributes:
        columns: column of the opened stream for each of the rig's channels.
        opened: number of channels to open.
        notice: message for the user, or ''.
        doubt: why these may not be the rig's channels, or ''.
    """

    columns: tuple[int, ...]
    opened: int
    notice: str = ''
    doubt: str = ''


def arrange(channels: Sequence[int], opened: int, device: str, host_api: str) -> Arrangement:
    """Determine how to read a device's channels in the device's own order.

    Args:
        channels: channels of the device that the rig reads.
        opened: number of channels to open for these.
        device: name of the device.
        host_api: e.g. ``ALSA``.
    """
    plain = Arrangement(tuple(channels), opened)
    if host_api == 'ALSA':
        source = server_behind(device)
    elif host_api.lower().startswith('pulse'):
        source = ServerSource('portaudio', '', device)
    else:
        return plain
    if source is None:
        return plain
    positions = positions_of(source)
    return arrange_by(positions, channels, opened, source.plugin) if positions else plain


def arrange_by(
    positions: Sequence[str], channels: Sequence[int], opened: int, plugin: str = 'pulse'
) -> Arrangement:
    """Determine how to read a server's source from its channel positions; see `arrange`.

    Args:
        positions: positions of the source's channels, in the device's order.
        channels: channels of the device that the rig reads.
        opened: number of channels to open for these.
        plugin: plugin that reads the source; only ``pulse`` is known to use `requested_order`.
    """
    plain = tuple(channels)
    words = f'channel map of the sound server: {",".join(positions)}'
    if max(channels) >= len(positions):
        found = f'{len(positions)} channel{"s" if len(positions) > 1 else ""}'
        return Arrangement(
            plain, opened, doubt=f'{words}: {found}, the rig reads {opened}: the rest is made up'
        )
    needed = [positions[channel] for channel in channels]
    if needed == [requested_order(opened)[channel] for channel in channels]:
        return Arrangement(plain, opened)
    counts = range(opened, MOST_CHANNELS + 1)
    enough = next((n for n in counts if set(needed) <= set(requested_order(n))), None)
    if plugin != 'pulse' or enough is None or len(set(needed)) < len(needed):
        return Arrangement(
            plain,
            opened,
            doubt=f'{words}: not in the order of ALSA ({",".join(requested_order(opened))}), so '
            'microphones may be exchanged, mixed or silent; give the source that channel map, '
            'or open the sound card itself',
        )
    columns = tuple(requested_order(enough).index(position) for position in needed)
    return Arrangement(columns, enough, notice=f"{words}: read in the device's own order")


def requested_order(count: int) -> tuple[str, ...]:
    """Return the positions that ALSA's PulseAudio plugin requests for a number of channels."""
    if count == 1:
        return ('mono',)
    named = next(n for n in (8, 6, 5, 4, 2) if n <= count)
    return ALSA_ORDER[:named] + tuple(f'aux{i}' for i in range(count - named))


def positions_of(source: ServerSource) -> tuple[str, ...]:
    """Return the channel map of a source in the device's order; empty if the server is silent."""
    name = source.source or _default_source(source.server)
    found: dict[str, str] = {}
    for line in _pactl(source.server, 'list', 'sources').splitlines():
        key, _, value = line.strip().partition(': ')
        if line.startswith('Source #'):
            found = {}
        found[key] = value.strip()
        if key == 'Channel Map' and name in (found.get('Name'), found.get('Description')):
            return tuple(part.strip() for part in value.split(','))
    return ()


def _default_source(server: str) -> str:
    match = re.search(r'^Default Source: (.*)$', _pactl(server, 'info'), re.MULTILINE)
    return match[1].strip() if match else ''


def _pactl(server: str, *words: str) -> str:
    """Return the output of the server's tool; '' if it is missing or does not answer."""
    address = [f'--server={server}'] if server else []
    try:
        done = subprocess.run(
            ['pactl', *address, *words],
            capture_output=True,
            text=True,
            errors='replace',
            timeout=_TIMEOUT_S,
            env={**os.environ, 'LC_ALL': 'C'},
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ''
    return done.stdout


def server_behind(device: str) -> ServerSource | None:
    """Find the sound server's source behind an ALSA device; None for a card or if none is found.

    Args:
        device: name in ALSA's configuration, e.g. ``pulse``.
    """
    try:
        library = ctypes.CDLL('libasound.so.2')
        return _Configuration(library).server_behind(device)
    except (OSError, AttributeError):
        return None


class _Configuration:
    """ALSA's configuration as read by the library from the user's files."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Read the configuration, or update it if files have changed."""
        self._library = library
        library.snd_config_update()
        self._top = ctypes.c_void_p.in_dll(library, 'snd_config')

    def server_behind(self, device: str) -> ServerSource | None:
        """See the function of the same name."""
        node = self._definition(device)
        for _ in range(_DEEPEST):
            if node is None:
                return None
            kind = self._text(node, 'type')
            if kind in ('pulse', 'pipewire'):
                source = self._text(node, 'device') or self._text(node, 'capture_node')
                return ServerSource(kind, self._text(node, 'server'), source)
            # Plugins that convert or split refer to the device they read from.
            for key in ('slave.pcm', 'capture.pcm', 'pcm'):
                inner = self._search(node, key)
                name = self._text(node, key)
                if inner is not None:
                    node = self._definition(name) if name else inner
                    break
            else:
                return None
        return None

    def _definition(self, name: str) -> ctypes.c_void_p | None:
        found = ctypes.c_void_p()
        status = self._library.snd_config_search_definition(
            self._top, b'pcm', name.encode(), ctypes.byref(found)
        )
        return found if status >= 0 and found else None

    def _search(self, node: ctypes.c_void_p, key: str) -> ctypes.c_void_p | None:
        found = ctypes.c_void_p()
        status = self._library.snd_config_search(node, key.encode(), ctypes.byref(found))
        return found if status >= 0 and found else None

    def _text(self, node: ctypes.c_void_p, key: str) -> str:
        found = self._search(node, key)
        text = ctypes.c_char_p()
        if found is None or self._library.snd_config_get_string(found, ctypes.byref(text)) < 0:
            return ''
        return (text.value or b'').decode(errors='replace')
