"""Scores as tables, curves, pictures and pages."""
