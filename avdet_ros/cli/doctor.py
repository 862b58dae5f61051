"""`avdet doctor`: check everything from the sound card to the GPU, and report what to do."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avdet_ros.cli.console import console, print_line, progress_bars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from avdet_ros.checkup.finding import Finding
    from avdet_ros.rig import Rig

_COLOURS = {'ok': 'green', 'to do': 'bold yellow', 'not checked': 'dim'}


def doctor(
    device: Annotated[
        str | None,
        typer.Option(
            help='Sound device: index, name or part of a name; default: the system default.'
        ),
    ] = None,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
    model: Annotated[
        Path | None, typer.Option(help='ONNX model; the default is models/student.onnx.')
    ] = None,
    image: Annotated[
        str, typer.Option(help="The camera's topic; default: the only image topic.")
    ] = '',
    namespace: Annotated[str, typer.Option(help='Namespace of the nodes.')] = 'avdet',
    seconds: Annotated[
        float,
        typer.Option(min=2, max=600, help='How long to record sound and to wait for pictures.'),
    ] = 6.0,
    record: Annotated[Path, typer.Option(help='Folder that bags will be written to.')] = Path(),
    skip_sound: Annotated[
        bool, typer.Option('--no-sound', help='Open no sound device, e.g. while the nodes use it.')
    ] = False,
) -> None:
    """Check device, channels, levels, clock, camera, TF, model, GPU and disk, one line each.

    Reports what to do next. The exit status is 1 if anything remains to do.
    """
    from rich.text import Text

    from avdet_ros.paths import DEFAULT_MODEL, found_or_shipped
    from avdet_ros.rig import load_rig

    loaded_rig = load_rig(rig)
    model = found_or_shipped(model or DEFAULT_MODEL)
    steps = []
    for finding in _walk(
        loaded_rig,
        None if skip_sound else seconds,
        device,
        image,
        namespace,
        seconds,
        model,
        record,
    ):
        state = Text(f'{finding.state:<12}', _COLOURS[finding.state])
        line = Text.assemble(state, f'{finding.part:<14}{finding.found}')
        console().print(line, soft_wrap=True)
        if finding.next_step:
            print_line(f'{"":12}{"":14}-> {finding.next_step}')
        if finding.state == 'to do':
            steps.append(finding)
    if steps:
        parts = ', '.join(dict.fromkeys(finding.part for finding in steps))
        print_line(f'to do: {parts}; begin with the first, and ask again', 'bold yellow')
        raise typer.Exit(1)
    print_line('nothing to do; next: avdet run source:=device, or ros2 launch', 'green')


def _walk(
    rig: Rig,
    record_s: float | None,
    device: str | None,
    image: str,
    namespace: str,
    look_s: float,
    model: Path,
    bags: Path,
) -> Iterator[Finding]:
    """Yield the findings in the order of processing, from sound to boxes, each when known."""
    from avdet_ros.checkup.finding import not_checked
    from avdet_ros.checkup.machine import (
        check_disk,
        check_model,
        check_shared_memory,
        check_time,
    )
    from avdet_ros.checkup.sound import check_sound

    if record_s is None:
        for part in ('device', 'channels', 'levels', 'clock'):
            yield not_checked(part, '--no-sound')
    else:
        yield from check_sound(rig, device, record_s, progress_bars())
    yield check_time()
    yield from _check_camera(rig, namespace, image, look_s)
    yield from check_model(model, rig)
    yield check_shared_memory()
    yield check_disk(bags, rig.sample_rate_hz)


def _check_camera(rig: Rig, namespace: str, image: str, seconds: float) -> list[Finding]:
    from avdet_ros.checkup.camera import judge_camera
    from avdet_ros.checkup.finding import not_checked

    if importlib.util.find_spec('rclpy') is None:
        why = 'no rclpy here: source ROS 2 first'
        return [not_checked(part, why) for part in ('camera', 'stamps', 'TF')]
    from avdet_ros.nodes.camera_look import look_at_camera

    return judge_camera(rig, look_at_camera(namespace, image, seconds))
