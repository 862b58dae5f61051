"""A world that can be heard: roads, vehicles, their sound and their boxes."""
