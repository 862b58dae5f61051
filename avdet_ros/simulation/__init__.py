"""Simulated drives: roads, vehicles, their sound, pictures and true boxes."""
