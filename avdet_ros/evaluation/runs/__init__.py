"""Runs of detectors on simulated or recorded drives: detections together with the truth."""
