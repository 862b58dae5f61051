"""Tools for a sound device: show its levels, record it, identify microphones by tapping."""
