"""What a student learns from teachers beside their boxes."""
