"""Detectors run on drives, simulated or recorded: what they found beside what is true."""
