"""List the machine's sound devices through PortAudio, and find one by its name."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES

open_streams: set[int] = set()
"""Identities of the sources with an open stream; PortAudio must not be restarted meanwhile."""


@dataclass(frozen=True)
class Device:
    """An input device as PortAudio describes it.

    Attributes:
        index: its number, valid until the next rescan.
        name: its name.
        host_api: ALSA, JACK, ...
        channels: maximum number of input channels.
        default_rate_hz: its preferred sample rate.
    """

    index: int
    name: str
    host_api: str
    channels: int
    default_rate_hz: float


def list_devices() -> list[Device]:
    """Return all devices with at least one input channel.

    Raises:
        AvdetError: PortAudio is not installed or not running.
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
    """Make PortAudio search for devices again; does nothing while a stream is open.

    PortAudio itself searches only once.

    Raises:
        AvdetError: PortAudio is not installed or does not start.
    """
    if not open_streams:
        sounddevice = port_audio()
        with suppress(sounddevice.PortAudioError):  # not running if the last rescan failed
            sounddevice._terminate()
        try:
            sounddevice._initialize()
        except sounddevice.PortAudioError as error:
            raise AvdetError(f'cannot look for sound devices: {one_line(error)}') from error


def supports(device: Device, channels: int, sample_rate_hz: float) -> bool:
    """Return whether a device offers this number of 16-bit channels at this rate."""
    sounddevice = port_audio()
    try:
        sounddevice.check_input_settings(device.index, channels, 'int16', None, sample_rate_hz)
    except (sounddevice.PortAudioError, ValueError):
        return False
    return True


def find_device(wanted: str | int | None, channels: int = MICROPHONES) -> Device:
    """Select a device.

    Args:
        wanted: index, exact name or part of a name, in upper or lower case; None or '' for the
            default.
        channels: if several devices match, those with at least this many channels are preferred.

    Raises:
        AvdetError: no device or more than one matches; the message lists the candidates.
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
        hits = hits[:1]  # one device under several host APIs: the first is the native one
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
    """Return module sounddevice, which is imported only when it is needed.

    Raises:
        AvdetError: the PortAudio library is not installed.
    """
    try:
        import sounddevice
    except OSError as error:
        raise AvdetError(
            'the PortAudio library is not installed: apt install libportaudio2'
        ) from error
    return sounddevice
