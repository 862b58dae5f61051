"""Detect vehicles from the sound of eight microphones, as boxes in the camera's image."""

import os

from avdet_ros.former_modules import find_former_modules

__version__ = '0.1.0'

LARGEST_IMAGE_PX = 1 << 26
"""Maximum number of pixels; a picture whose header claims more is refused before decoding."""

# OpenCV reads its limit once, when it is loaded; its default is sixteen times as large.
os.environ.setdefault('OPENCV_IO_MAX_IMAGE_PIXELS', str(LARGEST_IMAGE_PX))

find_former_modules()
