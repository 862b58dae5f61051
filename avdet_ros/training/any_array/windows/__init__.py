"""Windows of any arrays, prepared for training."""
