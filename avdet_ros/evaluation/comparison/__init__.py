"""Two models on the same drives."""
