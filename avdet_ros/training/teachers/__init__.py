"""Detectors that see vehicles in pictures, and the labels they make."""
