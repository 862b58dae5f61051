"""`avdet devices`: list sound devices, and check the array on one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import console, print_line, progress_bars


def devices(
    meter: Annotated[
        str | None,
        typer.Option(
            help='Show live levels of this device, given by index, name or part of a name.'
        ),
    ] = None,
    tap: Annotated[
        str | None,
        typer.Option(help='Identify the channel of each microphone of this device by tapping.'),
    ] = None,
    record: Annotated[
        float | None,
        typer.Option(min=0.1, max=36_000, help='Record this many seconds into OUTPUT.'),
    ] = None,
    output: Annotated[
        Path | None, typer.Argument(help='Sound file to record into, e.g. out.flac.')
    ] = None,
    device: Annotated[
        str | None, typer.Option(help='Device to record; default: the system default.')
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.5, help='Stop the meter after this many seconds.')
    ] = None,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
) -> None:
    """List sound devices; or show levels, identify channels, or record from one."""
    from avdet_ros.errors import AvdetError
    from avdet_ros.rig import load_rig
    from avdet_ros.sources.device_list import rescan

    loaded_rig = load_rig(rig)
    if (record is None) != (output is None):
        raise AvdetError(
            'avdet devices: expected --record SECONDS together with the file to record into, '
            f'found only the {"file" if record is None else "seconds"}'
        )
    if sum(choice is not None for choice in (meter, tap, record)) > 1:
        raise AvdetError('avdet devices: expected one of --meter, --tap and --record, found more')
    if meter is not None:
        from avdet_ros.sources.tools.meter import run_meter

        run_meter(loaded_rig, meter, seconds)
    elif tap is not None:
        from avdet_ros.sources.tools.identify_channels import run_tapping

        run_tapping(loaded_rig, tap)
    elif record is not None and output is not None:
        from avdet_ros.sources.tools.record import record_device

        record_device(loaded_rig, device, record, output, progress_bars())
    else:
        rescan()
        _list(loaded_rig.device_channels, loaded_rig.sample_rate_hz)


_RATES_HZ = (16000, 32000, 44100, 48000, 88200, 96000, 192000)


def _list(channels: int, sample_rate_hz: int) -> None:
    from rich.table import Table

    from avdet_ros.sources.device_list import list_devices, supports

    found = list_devices()
    if not found:
        print_line('no input devices; is the sound card connected, and are you in group audio?')
        return
    table = Table(caption=f'✓: gives {channels} channels at {sample_rate_hz} Hz')
    for heading in ('', 'index', 'name', 'host API', 'channels', 'rates / kHz'):
        table.add_column(heading, justify='right' if heading in ('index', 'channels') else 'left')
    for device in found:
        serves = device.channels >= channels and supports(device, channels, sample_rate_hz)
        most = min(device.channels, channels)
        rates = ' '.join(f'{rate / 1000:g}' for rate in _RATES_HZ if supports(device, most, rate))
        table.add_row(
            '✓' if serves else '',
            str(device.index),
            device.name,
            device.host_api,
            str(device.channels),
            rates,
        )
    console().print(table)
