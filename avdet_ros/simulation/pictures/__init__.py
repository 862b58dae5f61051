"""Pictures of a simulated drive: RGB, thermal and depth, drawn with OpenCV."""

from avdet_ros.simulation.pictures.cameras import Cameras, Frame, render_rgb
from avdet_ros.simulation.pictures.conditions import Conditions, random_conditions

__all__ = ['Cameras', 'Conditions', 'Frame', 'random_conditions', 'render_rgb']
