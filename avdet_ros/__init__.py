"""Hear other vehicles with eight microphones and say where they are in the camera's image."""

__version__ = '0.1.0'
