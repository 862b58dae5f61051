"""Make the picture of `avdet view` in README: the page of a bag at one instant, headless.

    python tools/view_picture.py BAG --at 13.9

draws the page with the Rerun viewer of tools/requirements/view.txt in a process without a window.
It needs a graphics driver; a software driver suffices (Debian: mesa-vulkan-drivers).
"""

from __future__ import annotations

import argparse
from pathlib import Path
import tempfile
import time

import cv2
from rerun.experimental import ViewerClient

from avdet_ros.bags.reader import Bag
from avdet_ros.bags.show import show_bag
from avdet_ros.drawing.live_page import LivePage
from avdet_ros.rig import load_rig

LOADING_S, DRAWING_S = 8.0, 4.0
"""Time that a viewer without a graphics card needs to load the page, and to draw an instant."""

TITLE_PX = 36
"""Height of the viewer's own menu, which is cut off."""


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('bag', type=Path, help='bag recorded by the nodes or `avdet demo`')
    parser.add_argument('--at', type=float, required=True, help='seconds from its beginning')
    parser.add_argument('--out', type=Path, default=Path('docs/images/view.png'))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Bag(args.bag) as bag:
        saved = Path(folder) / 'page.rrd'
        page = LivePage(load_rig(), saved, False)
        show_bag(bag, page, None)
        page.close()
        with ViewerClient.spawn(headless=True, hide_welcome_screen=True) as viewer:
            viewer.open(str(saved))
            time.sleep(LOADING_S)
            viewer.set_time(timestamp=bag.start_ns * 1e-9 + args.at, play_state='paused')
            time.sleep(DRAWING_S)
            shot = Path(folder) / 'page.png'
            viewer.save_screenshot(str(shot))
        cv2.imwrite(str(args.out), cv2.imread(str(shot))[TITLE_PX:])
    print(f'made {args.out}')


if __name__ == '__main__':
    main()
