"""The networks: students, detectors, what turns their predictions into boxes."""
