"""The student for any array: its network, losses, fitting, calibration and model file."""
