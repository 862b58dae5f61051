"""`avdet eval inspect-model`: print a model's contract, and whether it fits the rig."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import console, print_line


def inspect_model(
    file: Annotated[
        Path | None, typer.Argument(help='ONNX model; the default is models/student.onnx.')
    ] = None,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    provider: Annotated[
        list[str] | None,
        typer.Option(help='tensorrt, cuda or cpu; may be repeated, in order of preference.'),
    ] = None,
) -> None:
    """Print a model's contract, the provider that it runs on, and whether it fits the rig."""
    import json

    import numpy as np
    from rich.table import Table
    from rich.text import Text

    from avdet_ros.audio.features import FrontEnd
    from avdet_ros.detection.contract import metadata
    from avdet_ros.detection.contract_check import check, differences, remarks
    from avdet_ros.detection.model_file import read_model
    from avdet_ros.detection.mounting import Mounting
    from avdet_ros.detection.session import Detector
    from avdet_ros.detection.taught_ranges import values_of
    from avdet_ros.paths import DEFAULT_MODEL, found_or_shipped
    from avdet_ros.rig import load_rig

    file = found_or_shipped(file or DEFAULT_MODEL)
    loaded_rig = load_rig(rig)
    content, contract = read_model(file)
    front_end = FrontEnd.of(loaded_rig, contract.pair_count)
    found = differences(contract, loaded_rig, front_end)
    differing = {difference.key: difference for difference in found}
    table = Table(title=f'{file}, {len(content) / 1e6:.1f} MB', title_justify='left')
    table.add_column('key')
    table.add_column('value', overflow='fold')
    table.add_column('fits')
    checked = {'sample_rate', 'window_s', 'n_fft', 'hop_length', 'n_mels', 'features'}
    checked |= {'image_width', 'image_height', 'microphones', *Mounting.__dataclass_fields__}
    rig_remarks = remarks(contract, loaded_rig)
    rig_values = values_of(loaded_rig) if contract.ranges is not None else {}
    for key, value in metadata(contract).items():
        if key == 'avdet.features' and len(contract.features) > 8:
            first, last = contract.features[0], contract.features[-1]
            value = f'{len(contract.features)} channels, {first} to {last}'
        elif key == 'avdet.microphones' and contract.microphones_m is not None:
            value = '  '.join(f'({x:.3f}, {y:.3f}, {z:.3f})' for x, y, z in contract.microphones_m)
        elif key == 'avdet.azimuths_deg' and (azimuths := contract.azimuths_deg) is not None:
            steps = np.abs(np.diff(azimuths))
            value = (
                f'{len(azimuths)} directions over {steps.sum():.0f} degrees, '
                f'{steps.min():.2g} to {steps.max():.2g} apart'
            )
        elif key == 'avdet.metrics':
            value = json.dumps(contract.metrics, indent=1)
        fits = Text()
        if key in differing:
            fits = Text(f'no: the rig has {differing[key].found.rstrip(",")}', 'red')
        elif (name := key.removeprefix('avdet.')) in checked:
            fits = Text('yes', 'green')
        elif name in rig_values:
            outside = any(sentence.startswith(name) for sentence in rig_remarks)
            answer, colour = ('not taught', 'yellow') if outside else ('yes', 'green')
            fits = Text(f'{answer}: the rig has {rig_values[name]:.3g}', colour)
        table.add_row(key, value, fits)
    console().print(table)
    if found:
        check(contract, loaded_rig, front_end, where=file)  # raises
    detector = Detector(file, loaded_rig, front_end, providers=provider)
    for note in dict.fromkeys([*detector.notes, *rig_remarks]):
        print_line(note, 'yellow')
    print_line(f'sha256 {detector.sha256}')
    shapes = [contract.input_shape]
    if contract.steering_shape is not None:
        shapes.append(contract.steering_shape)
    sizes = ' and '.join(' x '.join(map(str, shape)) for shape in shapes)
    print_line(f'input  {sizes}, runs on {detector.provider}')
    if contract.steering_shape is None:
        print_line('fits the rig and the front end', 'green')
    else:
        print_line('takes any array and camera; fits the front end', 'green')
