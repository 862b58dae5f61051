"""The loop: epochs, checkpoints, resuming, several processes."""
