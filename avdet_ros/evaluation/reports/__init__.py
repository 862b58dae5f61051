"""Reports of scores as tables, curves, pictures and pages."""
