"""The training loop: epochs, checkpoints, resuming, several processes."""
