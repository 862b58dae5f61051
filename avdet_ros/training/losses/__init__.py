"""Losses by which a student learns from its teachers in addition to their boxes."""
