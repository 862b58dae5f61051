"""Boxes as a grid student predicts them: grid and loss, suppression, calibrated scores."""
