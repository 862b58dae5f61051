"""`avdet calibrate`: gain, delay and position of each microphone, from driving or a walk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avdet_ros.cli.console import console, print_line, progress_bars

if TYPE_CHECKING:
    from avdet_ros.audio.self_calibration import SelfCalibration
    from avdet_ros.rig import Rig
    from avdet_ros.rig_edit import MicrophoneValues


def calibrate(
    recordings: Annotated[
        list[Path],
        typer.Argument(help='Bags, recorded drives or sound files of ordinary driving.'),
    ],
    out: Annotated[
        Path, typer.Option(help='Copy of the rig file to write, with the estimated values.')
    ] = Path('rig.calibrated.yaml'),
    rig: Annotated[
        Path | None, typer.Option(help="Rig file; default: the drive's own, or the example.")
    ] = None,
    speed_kmh: Annotated[
        float | None,
        typer.Option(
            '--speed', help='Speed of the vehicle in km/h, if it was constant; 0: parked.'
        ),
    ] = None,
    seen: Annotated[
        str | None,
        typer.Option(
            help='Topic of a camera detector with track identities, to estimate the yaw.'
        ),
    ] = None,
    walk: Annotated[
        bool,
        typer.Option(
            '--walk',
            help='The recording is of one hissing source, carried once around the parked vehicle.',
        ),
    ] = False,
    distance_m: Annotated[
        float,
        typer.Option(
            '--distance', min=2, max=100, help='With --walk: distance of the source, metres.'
        ),
    ] = 10.0,
    temperature_c: Annotated[
        float,
        typer.Option(
            '--temperature',
            min=-40,
            max=60,
            help='With --walk: air temperature in degrees Celsius.',
        ),
    ] = 20.0,
) -> None:
    """Estimate each microphone's gain, delay and position (see docs/microphones.md)."""
    from avdet_ros.bags.driving import drive_rig, read_driving
    from avdet_ros.errors import AvdetError
    from avdet_ros.rig import default_rig_path, load_rig

    if speed_kmh is not None and not -50 <= speed_kmh <= 300:
        raise AvdetError(f'--speed: expected -50 to 300 km/h, found {speed_kmh:g}')
    rig_path = rig or drive_rig(recordings[0]) or default_rig_path()
    loaded_rig = load_rig(rig_path)
    if rig is None:
        print_line(f'array of {rig_path}; --rig names another')
    if walk:
        if len(recordings) != 1:
            raise AvdetError(f'--walk: expected one recording, found {len(recordings)}')
        _walk(recordings[0], loaded_rig, distance_m, temperature_c)
        return
    from avdet_ros.audio.passing import clearest_passing
    from avdet_ros.audio.self_calibration import calibrate_from_driving
    from avdet_ros.drawing.steered_response import draw_steered_response
    from avdet_ros.files import write_atomically
    from avdet_ros.rig_edit import write_calibrated

    bars = progress_bars()
    speed_mps = None if speed_kmh is None else speed_kmh / 3.6
    driving = read_driving(recordings, loaded_rig, speed_mps, seen, bars)
    result = calibrate_from_driving(
        driving.fronts, loaded_rig, driving.sightings, driving.speeds_mps, bars
    )
    _print_table(result, loaded_rig)
    microphones, yaw_deg = _microphones(result, loaded_rig)
    names = ', '.join(str(path) for path in recordings)
    clear = f'{result.segments} clear segments from {result.sectors} of 12 sectors'
    heading = [f'Calibrated by avdet calibrate from {names}: {clear}.', *result.notes]
    write_calibrated(rig_path, out, microphones, yaw_deg, heading)
    passing = clearest_passing(driving.fronts, result, loaded_rig)
    picture = out.with_suffix('.png')
    with write_atomically(picture) as file:
        draw_steered_response(
            passing.time_s, passing.azimuths, passing.before, passing.after, file
        )
    print_line(f'wrote {out} and {picture}')


def _microphones(result: SelfCalibration, rig: Rig) -> tuple[list[MicrophoneValues], float | None]:
    """Return the values for the copy of the rig file.

    Returns:
        microphones: values in the file's order; entry i stays channel i of the recording.
        yaw_deg: yaw of the array; None to keep the file's.
    """
    import numpy as np

    from avdet_ros.audio.self_calibration import calibrated_rig
    from avdet_ros.rig_edit import MicrophoneValues

    new = calibrated_rig(result, rig)
    turn = np.radians(new.array_yaw_deg)
    back = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    places = (new.microphones_m - rig.array_position_m) @ back.T
    microphones = []
    for i in range(len(rig.names)):
        spread = 1e3 * result.position_sd_m[i]
        words = (
            f'± {result.gain_sd_db[i]:.2f} dB, ± {1e6 * result.delay_sd_s[i]:.0f} µs, '
            f'x ± {spread[0]:.1f} mm, y ± {spread[1]:.1f} mm'
        )
        comment = '; '.join(filter(None, (result.findings[i], words if new.alive[i] else '')))
        place = (float(places[i, 0]), float(places[i, 1]), float(places[i, 2]))
        microphones.append(
            MicrophoneValues(
                new.names[i],
                place,
                float(new.gain_db[i]),
                float(new.delay_s[i]),
                not new.alive[i],
                comment,
            )
        )
    return microphones, None if np.isnan(result.yaw_deg) else float(new.array_yaw_deg)


def _print_table(result: SelfCalibration, rig: Rig) -> None:
    """Print one row per channel, value ± standard error, and the faults found."""
    import numpy as np
    from rich.table import Table

    table = Table(
        title=f'array: {result.segments} clear segments from {result.sectors} of 12 sectors',
        caption='found value ± standard error; x and y: found minus rig file',
    )
    for heading in ('channel', 'gain / dB', 'delay / µs', 'x / mm', 'y / mm'):
        table.add_column(
            heading, justify='left' if heading == 'channel' else 'right', no_wrap=True
        )
    moved_m = result.positions_m - rig.microphones_m[result.order]
    for i, name in enumerate(rig.names):
        values = (
            (result.gain_db[i], result.gain_sd_db[i], '.2f'),
            (1e6 * result.delay_s[i], 1e6 * result.delay_sd_s[i], '.0f'),
            (1e3 * moved_m[i, 0], 1e3 * result.position_sd_m[i, 0], '.1f'),
            (1e3 * moved_m[i, 1], 1e3 * result.position_sd_m[i, 1], '.1f'),
        )
        numbers = [f'{value:+{form}} ± {spread:{form}}' for value, spread, form in values]
        if not result.alive[i]:
            numbers = ['dead', *[''] * (len(values) - 1)]
        table.add_row(f'{rig.channels[i]} {name}', *numbers)
    console().print(table)
    for i, finding in enumerate(result.findings):
        if finding:
            print_line(f'channel {rig.channels[i]} ({rig.names[i]}) {finding}', 'red')
    if not np.isnan(result.yaw_deg):
        print_line(
            f'the array is turned {result.yaw_deg:+.2f} ± {result.yaw_sd_deg:.2f} degrees against '
            'the rig file, left positive'
        )
    for note in result.notes:
        print_line(note, 'yellow')


def _walk(recording: Path, rig: Rig, distance_m: float, temperature_c: float) -> None:
    """Calibrate with one source carried around the parked vehicle, and print the result."""
    import numpy as np
    from rich.table import Table
    from scipy.spatial.transform import Rotation

    from avdet_ros.audio.array_calibration import calibrate as estimate
    from avdet_ros.audio.geometry import speed_of_sound_mps
    from avdet_ros.sources.file import LONGEST_WHOLE_S, read_whole

    sound = read_whole(recording, rig.sample_rate_hz, LONGEST_WHOLE_S)
    found = estimate(sound, rig, distance_m, speed_of_sound_mps(temperature_c))
    table = Table(
        title=f'errors, true minus rig; {found.frames} frames from {found.sectors} of 12 sectors',
        caption='± half the difference between two halves of the recording',
    )
    for heading in ('microphone', 'gain / dB', 'x / mm', 'y / mm', 'delay / samples'):
        table.add_column(heading, justify='left' if heading == 'microphone' else 'right')
    rate = rig.sample_rate_hz
    for i, name in enumerate(rig.names):
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
    base_link = rig.microphones_m + error - rig.array_position_m
    turn = Rotation.from_euler('z', rig.array_yaw_deg, degrees=True)
    print_line('positions for the rig file:')
    for name, place in zip(rig.names, turn.inv().apply(base_link), strict=True):
        print_line(f'  {name}: position_m: [{", ".join(f"{v:.4f}" for v in place)}]')
