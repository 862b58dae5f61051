"""`avdet calibrate`: gain, position and delay of each microphone, from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import console, print_line


def calibrate(
    recording: Annotated[
        Path, typer.Argument(help='One hissing source carried once around the parked vehicle.')
    ],
    distance_m: Annotated[
        float, typer.Option('--distance', min=2, max=100, help='Distance of the source, metres.')
    ] = 10.0,
    temperature_c: Annotated[
        float, typer.Option('--temperature', min=-40, max=60, help='Air temperature, Celsius.')
    ] = 20.0,
    rig: Annotated[Path | None, typer.Option(help='Rig file.')] = None,
) -> None:
    """Estimate gain, position and delay errors of each microphone (see docs/microphones.md)."""
    import numpy as np
    from rich.table import Table
    from scipy.spatial.transform import Rotation

    from avdet_ros.audio.array_calibration import calibrate as estimate
    from avdet_ros.audio.geometry import speed_of_sound_mps
    from avdet_ros.rig import load_rig
    from avdet_ros.sources.file import LONGEST_WHOLE_S, read_whole

    loaded_rig = load_rig(rig)
    sound = read_whole(recording, loaded_rig.sample_rate_hz, LONGEST_WHOLE_S)
    found = estimate(sound, loaded_rig, distance_m, speed_of_sound_mps(temperature_c))
    table = Table(
        title=f'errors, true minus rig; {found.frames} frames from {found.sectors} of 12 sectors',
        caption='± half the difference between two halves of the recording',
    )
    for heading in ('microphone', 'gain / dB', 'x / mm', 'y / mm', 'delay / samples'):
        table.add_column(heading, justify='left' if heading == 'microphone' else 'right')
    rate = loaded_rig.sample_rate_hz
    for i, name in enumerate(loaded_rig.names):
        x, y = 1000 * found.position_error_m[i]
        dx, dy = 1000 * found.position_spread_m[i]
        table.add_row(
            name,
            f'{found.gain_db[i]:+.2f} ± {found.gain_spread_db[i]:.2f}',
            f'{x:+.1f} ± {dx:.1f}',
            f'{y:+.1f} ± {dy:.1f}',
            f'{found.delay_s[i] * rate:+.2f} ± {found.delay_spread_s[i] * rate:.2f}',
        )
    console().print(table)
    error = np.concatenate([found.position_error_m, np.zeros((len(found.gain_db), 1))], axis=1)
    base_link = loaded_rig.microphones_m + error - loaded_rig.array_position_m
    turn = Rotation.from_euler('z', loaded_rig.array_yaw_deg, degrees=True)
    print_line('positions for the rig file:')
    for name, place in zip(loaded_rig.names, turn.inv().apply(base_link), strict=True):
        print_line(f'  {name}: position_m: [{", ".join(f"{v:.4f}" for v in place)}]')
