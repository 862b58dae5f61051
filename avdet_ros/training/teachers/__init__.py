"""Teachers: detectors of vehicles in pictures, and the labels that they produce."""
