"""Detect vehicles by the sound of eight microphones, as boxes in the camera's image."""

import os

from avdet_ros.former_modules import find_former_modules

__version__ = '0.1.0'

LARGEST_IMAGE_PX = 1 << 26
"""A picture that claims more pixels is refused before it is decoded."""

# OpenCV reads its limit once, when it is loaded; its own is sixteen times that.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(LARGEST_IMAGE_PX))

find_former_modules()
