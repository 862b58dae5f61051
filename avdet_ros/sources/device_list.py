"""The sound devices of this machine, as PortAudio lists them, and the one that is meant."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES

open_streams: set[int] = set()
"""Of the sources that hold a stream open: PortAudio must not be brought up anew under them."""


@dataclass(frozen=True)
class Device:
    """An input device as PortAudio describes it.

    Attributes:
        index: its number, valid until the next rescan.
        name: its name.
        host_api: ALSA, JACK, ...
        channels: input channels it offers at most.
        default_rate_hz: the rate it prefers.
    """

    index: int
    name: str
    host_api: str
    channels: int
    default_rate_hz: float


def list_devices() -> list[Device]:
    """All devices with at least one input channel.

    Raises:
        AvdetError: PortAudio is not installed or not up.
    """
    sounddevice = port_audio()
    try:
        apis = [api['name'] for api in sounddevice.query_hostapis()]
        entries = list(sounddevice.query_devices())
    except sounddevice.PortAudioError as error:
        raise AvdetError(f'cannot list the sound devices: {one_line(error)}') from error
    return [
        Device(
            index,
            entry['name'],
            apis[entry['hostapi']],
            entry['max_input_channels'],
            entry['default_samplerate'],
        )
        for index, entry in enumerate(entries)
        if entry['max_input_channels'] > 0
    ]


def rescan() -> None:
    """List the devices again; PortAudio itself does so only once. Not while a stream is open.

    Raises:
        AvdetError: PortAudio is not installed or does not come up.
    """
    if not open_streams:
        sounddevice = port_audio()
        with suppress(sounddevice.PortAudioError):  # it is not up when the last rescan failed
            sounddevice._terminate()
        try:
            sounddevice._initialize()
        except sounddevice.PortAudioError as error:
            raise AvdetError(f'cannot look for sound devices: {one_line(error)}') from error


def supports(device: Device, channels: int, sample_rate_hz: float) -> bool:
    """Whether a device offers this many 16-bit channels at that rate."""
    sounddevice = port_audio()
    try:
        sounddevice.check_input_settings(device.index, channels, 'int16', None, sample_rate_hz)
    except (sounddevice.PortAudioError, ValueError):
        return False
    return True


def find_device(wanted: str | int | None, channels: int = MICROPHONES) -> Device:
    """Select a device.

    Args:
        wanted: index, exact name or part of a name, in any case; None or '' for the default.
        channels: of several that match, those with this many channels are preferred.

    Raises:
        AvdetError: none fits, or several do; the message lists those there are.
    """
    devices = list_devices()
    if wanted is None or wanted == '':
        default = port_audio().default.device[0]
        hits = [device for device in devices if device.index == default]
        return _one(hits or devices[:1], 'the default input', devices)
    text = str(wanted).strip()
    exact = [device for device in devices if device.name == text]
    if text.isdecimal() and not exact:
        return _one([d for d in devices if d.index == int(text)], f'number {text}', devices)
    part = [device for device in devices if text.lower() in device.name.lower()]
    hits = exact or part
    hits = [device for device in hits if device.channels >= channels] or hits
    if exact or len({device.name for device in hits}) == 1:
        hits = hits[:1]  # the same device under several host APIs: the first is the native one
    return _one(hits, repr(text), devices)


def _one(hits: list[Device], wanted: str, devices: list[Device]) -> Device:
    if len(hits) == 1:
        return hits[0]
    listed = hits or devices
    names = ', '.join(f'{d.index} {d.name!r} ({d.channels} channels)' for d in listed) or 'none'
    if hits:
        raise AvdetError(f'sound device {wanted} fits several; expected one of: {names}')
    raise AvdetError(f'no sound device {wanted}; the input devices here: {names}')


def port_audio() -> Any:
    """Module sounddevice, loaded when sound devices are asked about and not before.

    Raises:
        AvdetError: the library it calls is not installed.
    """
    try:
        import sounddevice
    except OSError as error:
        raise AvdetError(
            'the PortAudio library is not installed: apt install libportaudio2'
        ) from error
    return sounddevice
