"""One training run, from drives to a calibrated student and its model file."""
