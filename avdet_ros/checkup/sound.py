"""Check the sound card and its channels on a recording of a few seconds."""

from __future__ import annotations

from dataclasses import dataclass
import time

import numpy as np

from avdet_ros.audio.levels import ChannelState, check_channels, find_swapped_microphones
from avdet_ros.audio.sound_rate import nearest_rate
from avdet_ros.checkup.finding import Finding, not_checked, ok, to_do
from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import one_line
from avdet_ros.rig import Rig
from avdet_ros.sources.device import DeviceSource
from avdet_ros.sources.device_list import find_device, list_devices, rescan, supports

JUDGED_S = 4.0
"""Length of the newest sound used to judge the channels, as in the level meter."""

RATE_PART = 0.01
"""Maximum relative deviation of a card's measured rate from the requested one."""

QUIET_DB = -75.0
"""Level, dB re full scale; a median channel below it is only the converter's own noise."""

NEAR_FULL_DB = -3.0
"""Peaks above this level leave no headroom for a lorry."""

_OTHER_RATES_HZ = (44100, 48000, 96000)
_SILENT_LIMIT_S = 8.0


@dataclass(frozen=True)
class Sample:
    """A recording of some seconds from a device.

    Attributes:
        label: name of the device.
        samples: (n, 8) int16 in the rig's order.
        lost: number of samples lost.
        rate_hz: samples per second by this machine's clock; NaN if the recording is too short.
        about: remark on the channels, or ''.
        doubt: why they may not be the rig's microphones, or ''.
        trouble: why the sound is unusable, or ''.
    """

    label: str
    samples: np.ndarray
    lost: int
    rate_hz: float
    about: str = ''
    doubt: str = ''
    trouble: str = ''


def check_sound(
    rig: Rig, device: str | None, seconds: float, progress: Progress = SILENT
) -> list[Finding]:
    """Find the device, record from it, and judge the recording.

    Args:
        rig: channel map, microphone positions, sample rate.
        device: index, name or part of a name; None for the default.
        seconds: length of the recording.
        progress: displays the seconds of the recording.
    """
    try:
        finding = check_device(rig, device)
    except AvdetError as error:
        step = 'connect the card; is the user in group audio, and does avdet devices list it?'
        finding = to_do('device', str(error), step)
    if finding.state != 'ok':
        why = 'there is no device that could be opened'
        return [finding, *(not_checked(part, why) for part in ('channels', 'levels', 'clock'))]
    try:
        sample = record(rig, device, seconds, progress)
    except AvdetError as error:
        step = 'end whatever else holds the device (the nodes do), and try again'
        why = 'nothing could be recorded'
        rest = [not_checked(part, why) for part in ('channels', 'levels', 'clock')]
        return [to_do('device', str(error), step), *rest]
    return [finding, *judge(rig, sample)]


def check_device(rig: Rig, wanted: str | None) -> Finding:
    """Check whether the device exists and supports the rig's channels and sample rate.

    Raises:
        AvdetError: there is no device, or several match.
    """
    rescan()
    channels, rate = rig.device_channels, rig.sample_rate_hz
    device = find_device(wanted, channels)
    name = f'{device.name} ({device.host_api})'
    if device.channels < channels:
        suitable = [each.name for each in list_devices() if each.channels >= channels]
        found = ', '.join(repr(each) for each in suitable)
        step = f'name one that has them: {found}' if suitable else 'connect a card that has them'
        at_most = f'{name} has {device.channels} channels, the rig reads {channels}'
        return to_do('device', at_most, step)
    if not supports(device, channels, rate):
        rates = [each for each in _OTHER_RATES_HZ if supports(device, channels, each)]
        if rates:
            supported = ' and '.join(map(str, rates))
            step = (
                f'set sample_rate_hz: {rates[0]} in the rig file, and see with avdet eval '
                'inspect-model whether the model takes it'
            )
            return to_do('device', f'{name} does not support {rate} Hz, but {supported}', step)
        step = 'is another program using it?'
        return to_do('device', f'{name} does not open with {channels} channels at {rate} Hz', step)
    return ok('device', f'{name} gives {channels} channels at {rate} Hz')


def record(rig: Rig, device: str | None, seconds: float, progress: Progress = SILENT) -> Sample:
    """Record from a device.

    Raises:
        AvdetError: the device cannot be opened, or fails.
    """
    source = DeviceSource(rig, device)
    source.start()
    blocks: list[np.ndarray] = []
    arrivals = []
    try:
        with progress.step(f'recording {source.label}, seconds', round(seconds)) as advance:
            began, shown = time.monotonic(), 0
            while sum(map(len, blocks)) < seconds * rig.sample_rate_hz:
                block = source.read(0.5)
                waited_s = time.monotonic() - began
                if block is not None:
                    blocks.append(block.samples)
                    arrivals.append((block.time_s, block.first_sample))
                    done = int(sum(map(len, blocks)) / rig.sample_rate_hz)
                    advance(done - shown)
                    shown = done
                if waited_s > 2 * seconds + _SILENT_LIMIT_S or source.trouble:
                    break
    finally:
        source.stop()
    samples = np.concatenate(blocks) if blocks else np.zeros((0, len(rig.names)), np.int16)
    rate_hz = arrival_rate(arrivals)
    return Sample(
        source.label,
        samples,
        source.lost_samples,
        rate_hz,
        source.notice,
        source.doubt,
        source.trouble,
    )


def arrival_rate(arrivals: list[tuple[float, int]]) -> float:
    """Measure the samples per second by the machine's clock.

    Blocks are never early, and the first ones of a stream are late. So the rate is taken between
    the promptest blocks of the first and of the last third.

    Args:
        arrivals: (seconds on a steady clock, number of the first sample) of each block.

    Returns:
        The rate, Hz; NaN if the blocks span less than three seconds.
    """
    if len(arrivals) < 10 or arrivals[-1][0] - arrivals[0][0] < 3:
        return float('nan')
    times_s, first_samples = np.array(arrivals, np.float64).T
    nominal = (first_samples[-1] - first_samples[0]) / (times_s[-1] - times_s[0])
    late_s = times_s - first_samples / nominal
    third = len(times_s) // 3
    ends = [int(np.argmin(late_s[:third])), int(np.argmin(late_s[-third:])) + len(late_s) - third]
    return float(np.diff(first_samples[ends])[0] / np.diff(times_s[ends])[0])


def judge(rig: Rig, sample: Sample) -> list[Finding]:
    """Judge channels, levels and clock by a recording.

    Args:
        rig: names, channels and positions of the microphones.
        sample: recording from the device.
    """
    if not len(sample.samples):
        why = sample.trouble or 'no sound arrived'
        rest = [not_checked(part, 'no sound arrived') for part in ('levels', 'clock')]
        step = 'avdet devices --meter shows what arrives'
        return [to_do('channels', one_line(why), step), *rest]
    sound = sample.samples[-round(JUDGED_S * rig.sample_rate_hz) :]
    states = check_channels(sound, rig.sample_rate_hz)
    return [
        _channels(rig, sample, sound, states),
        _levels(rig, states),
        _rate(rig, sample),
    ]


def _channels(rig: Rig, sample: Sample, sound: np.ndarray, states: list[ChannelState]) -> Finding:
    meter = f'avdet devices --meter {sample.label!r} shows them live; docs/microphones.md says why'
    faults = [
        f'{rig.names[index]} (channel {rig.channels[index]}): {", ".join(words)}'
        for index, state in enumerate(states)
        if rig.alive[index] and (words := [word for word in state.faults if word != 'clipped'])
    ]
    if faults:
        return to_do('channels', '; '.join(faults), meter)
    if sample.doubt:
        return to_do('channels', sample.doubt, 'tap each microphone: avdet devices --tap')
    swapped = find_swapped_microphones(sound, rig.sample_rate_hz, rig.microphones_m)
    if swapped is not None:
        names = ' and '.join(rig.names[index] for index in swapped)
        step = f'tap both: avdet devices --tap {sample.label!r}'
        return to_do('channels', f'{names} look exchanged', step)
    remark = f'; {sample.about}' if sample.about else ''
    alive = int(rig.alive.sum())
    return ok(
        'channels',
        f'{alive} receive sound and differ{remark}; only avdet devices --tap shows that each is '
        'the microphone that the rig file says',
    )


def _levels(rig: Rig, states: list[ChannelState]) -> Finding:
    living = [state for state, alive in zip(states, rig.alive, strict=True) if alive]
    levels_db = np.array([state.level_db for state in living])
    peak_db = 20 * np.log10(max(max(state.peak for state in living), 1e-6))
    found = f'{levels_db.min():.0f} to {levels_db.max():.0f} dB, peak {peak_db:.0f} dB'
    if any('clipped' in state.faults for state in living):
        return to_do('levels', f'{found}, clipped', 'lower the gain: 10 dB above a loud lorry')
    if peak_db > NEAR_FULL_DB:
        return to_do('levels', found, 'lower the gain: peaks of a loud lorry should reach -10 dB')
    if np.median(levels_db) < QUIET_DB:
        step = (
            'raise the gain until traffic nearby reads -50 to -30 dB; with nobody near this may '
            'be right: clap, and look again'
        )
        return to_do('levels', f'{found}: hardly more than the converter itself', step)
    return ok('levels', found)


def _rate(rig: Rig, sample: Sample) -> Finding:
    if sample.trouble:
        step = (
            'set sample_rate_hz in the rig file to the true rate, or change the rate of the card'
        )
        return to_do('clock', sample.trouble, step)
    if sample.lost:
        step = 'free this machine of other work, or ask for more: device_latency:=0.2'
        return to_do('clock', f'{sample.lost} samples were lost', step)
    if np.isnan(sample.rate_hz):
        return not_checked('clock', 'too little was recorded to measure the rate: --seconds 10')
    deviation = sample.rate_hz / rig.sample_rate_hz - 1
    if abs(deviation) > RATE_PART:
        step = (
            'set sample_rate_hz in the rig file to the true rate, or change the rate of the card'
        )
        found = (
            f'about {nearest_rate(sample.rate_hz)} samples a second arrive, '
            f'{rig.sample_rate_hz} expected'
        )
        return to_do('clock', found, step)
    return ok('clock', f'{sample.rate_hz:.0f} samples a second by this clock, none lost')
