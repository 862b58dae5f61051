"""`avdet rig draw`: draw a rig file over a picture, to check it by eye."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avdet_ros.cli.console import print_line

if TYPE_CHECKING:
    import numpy as np

GREY = 70
"""Grey level of the background if no picture is given."""


def rig_draw(
    source: Annotated[
        Path | None,
        typer.Argument(
            help='Picture, or bag whose first picture is used; default: a grey picture.'
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help='Picture to write.')] = Path('rig.png'),
    image: Annotated[
        str | None, typer.Option(help="The camera's topic in the bag; default: the only one.")
    ] = None,
    rig: Annotated[Path | None, typer.Option(help='Rig file; default: the example.')] = None,
) -> None:
    """Draw horizon, bearings, distances and the array over a camera picture."""
    import cv2
    import numpy as np

    from avdet_ros.drawing.rig_check import draw_rig
    from avdet_ros.errors import AvdetError
    from avdet_ros.rig import load_rig

    loaded_rig = load_rig(rig)
    size = (loaded_rig.camera.height_px, loaded_rig.camera.width_px, 3)
    picture = np.full(size, GREY, np.uint8) if source is None else _picture(source, image)
    drawn = draw_rig(loaded_rig, picture)
    try:
        written = cv2.imwrite(str(out), drawn)
    except cv2.error:  # a file extension that OpenCV does not support
        written = False
    if not written:
        raise AvdetError(f'{out}: expected a name ending in .png or .jpg, in a folder that exists')
    print_line(
        f'{out}: does the horizon lie on the horizon, is an object 20 m ahead on the 20 m line?'
    )


def _picture(source: Path, image: str | None) -> np.ndarray:
    """Read the picture, (height, width, 3) uint8 BGR, undistorted if the bag has camera_info."""
    import cv2

    from avdet_ros.bags.camera_info import camera_model, cameras_of, first_image
    from avdet_ros.bags.reader import Bag
    from avdet_ros.errors import AvdetError

    if source.suffix.lower() in ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff'):
        read = cv2.imread(str(source), cv2.IMREAD_COLOR) if source.is_file() else None
        if read is None:
            raise AvdetError(f'{source}: expected a picture, found none that can be read')
        return read
    with Bag(source) as bag:
        found = [image] if image else cameras_of(bag)
        if len(found) != 1:
            topics = ', '.join(found) or 'none'
            raise AvdetError(
                f'{source}: expected one image topic with a camera_info next to it, '
                f'found {topics}; name one with --image'
            )
        picture = first_image(bag, found[0])
        if picture is None:
            raise AvdetError(f'{source}: {found[0]}: expected a picture, found none')
        model, _ = camera_model(bag, found[0])
    if picture.ndim == 2:
        picture = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    return picture if model is None else model.undistort()(picture)
