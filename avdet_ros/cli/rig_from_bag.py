"""`avdet rig from-bag`: write a rig file with the camera of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avdet_ros.cli.console import print_line


def rig_from_bag(
    bag: Annotated[Path, typer.Argument(help='rosbag2 folder, .mcap or .db3.')],
    out: Annotated[Path, typer.Option(help='Rig file to write; it must not exist.')],
    image: Annotated[
        str | None,
        typer.Option(help="The camera's topic; default: the only one with a camera_info."),
    ] = None,
    rig: Annotated[
        Path | None,
        typer.Option(help='Rig file to start from, with the microphones; default: the example.'),
    ] = None,
) -> None:
    """Write a rig file with the camera's lens, size and pose from camera_info and static TF.

    The microphones are those of --rig; the array's pose comes from TF if TF has its frame.
    """
    import yaml

    from avdet_ros.bags.camera_info import camera_model, cameras_of
    from avdet_ros.bags.geometry import rig_tree
    from avdet_ros.bags.reader import Bag
    from avdet_ros.bags.transforms import StaticTransforms
    from avdet_ros.errors import AvdetError
    from avdet_ros.files import write_atomically

    if out.exists():
        raise AvdetError(f'{out}: expected a new file, found one: it would be lost')
    with Bag(bag) as opened:
        found = cameras_of(opened)
        if image is None and len(found) != 1:
            topics = ', '.join(found) or 'none'
            raise AvdetError(
                f'{bag}: expected one image topic with a camera_info next to it, found {topics}; '
                'name one with --image'
            )
        topic = image or found[0]
        model, why = camera_model(opened, topic)
        if model is None:
            raise AvdetError(f'{bag}: {topic}: expected a calibrated camera, found {why}')
        tree, notes = rig_tree(rig, model, StaticTransforms(opened))
    remarks = [f'camera of {bag.name}: {topic}' + (f' ({model.how})' if model.how else ''), *notes]
    if model.distortion.any():
        remarks.append('its pictures have distortion; boxes lie on pictures without (image_proc)')
    heading = ''.join(f'# {line}\n' for line in remarks)
    text = heading + yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)
    with write_atomically(out) as file:
        file.write(text.encode())
    for note in remarks[1:]:
        print_line(note, 'yellow')
    print_line(f'{out}: camera by {topic}; look at it: avdet rig draw {bag} --rig {out}')
