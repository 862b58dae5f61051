"""Record a device to a sound file."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np

from avdet_ros.errors import AvdetError
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import one_line
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.sources.base import SourceLost
from avdet_ros.sources.device import DeviceSource

LARGEST_BYTES = (1 << 32) - (1 << 16)
"""Most bytes of sound in a file whose lengths have 32 bits."""

_LONG = ('FLAC', 'RF64', 'W64', 'CAF', 'RAW', 'OGG')
_logger = logging.getLogger(__name__)


def record_device(
    rig: Rig, device: str | None, seconds: float, output: Path, progress: Progress = SILENT
) -> None:
    """Record the eight microphones, in the rig's order; lost samples become zeros.

    The file appears under its name when it is complete. After Ctrl-C, or if the device dies, it
    contains the recording up to that point.

    Args:
        rig: rig with channel map and sample rate.
        device: index, name or part of a name; None for the default.
        seconds: length of the recording.
        output: file to write; its suffix determines the format, e.g. .flac or .wav.
        progress: receives the number of seconds recorded.

    Raises:
        AvdetError: the device or the file cannot be opened, the device has died, or the disk is
            full.
    """
    import soundfile

    formats = soundfile.available_formats()
    kind = output.suffix[1:].upper()
    if kind not in formats or not soundfile.check_format(kind, 'PCM_16'):
        raise AvdetError(
            f'{output}: expected a name ending in .flac or .wav, found {output.suffix!r}'
        )
    rate = rig.sample_rate_hz
    if 2 * MICROPHONES * seconds * rate > LARGEST_BYTES and kind not in _LONG:
        if kind not in ('WAV', 'WAVEX'):
            raise AvdetError(
                f'{output}: expected at most {LARGEST_BYTES / (2 * MICROPHONES * rate):.0f} s in '
                f'a file of this kind, found {seconds:g} s; name one ending in .flac or .wav'
            )
        kind = 'RF64'  # a WAV file whose lengths have 64 bits
    part = output.with_name(f'.{output.name}.part')
    source = DeviceSource(rig, device)
    total = round(seconds * rate)
    written = lost = 0
    has_sound = np.zeros(MICROPHONES, bool)
    death: SourceLost | None = None
    try:
        with soundfile.SoundFile(
            str(part), 'w', samplerate=rate, channels=MICROPHONES, format=kind, subtype='PCM_16'
        ) as file:
            source.start()
            for sentence in filter(None, (source.doubt, source.notice)):
                _logger.warning('%s', sentence)
            name = f'recording {source.label}, seconds'
            with progress.step(name, total // rate or None) as advance:
                try:
                    while written < total:
                        block = source.read(0.5)
                        if source.trouble:
                            raise SourceLost(source.trouble)
                        if block is None:
                            continue
                        lost += block.lost
                        silence = np.zeros((min(block.lost, total - written), MICROPHONES), 'i2')
                        samples = np.concatenate([silence, block.samples])[: total - written]
                        file.write(samples)
                        has_sound |= block.samples.any(axis=0)
                        advance((written + len(samples)) // rate - written // rate)
                        written += len(samples)
                except KeyboardInterrupt:
                    _logger.warning('ended early')
                except SourceLost as error:
                    if not written:
                        raise
                    death = error
        os.replace(part, output)
    except (OSError, soundfile.SoundFileError, RuntimeError) as error:
        raise AvdetError(f'cannot write {output}: {one_line(error)}') from error
    finally:
        source.stop()
        part.unlink(missing_ok=True)
    if death is not None:
        raise AvdetError(f'{death}; {output} holds the {written / rate:.1f} s before') from death
    if not has_sound.all():
        silent = ', '.join(
            name for name, sounds in zip(rig.names, has_sound, strict=True) if not sounds
        )
        channels = f'only {silent}' if has_sound.any() else 'all channels'
        _logger.warning('%s: silent: %s', output, channels.removeprefix('only '))
    note = f', {lost} samples were lost and are silent' if lost else ''
    _logger.info('%s: %.1f s of %s%s', output, written / rate, source.label, note)
