"""The study of bearings: its conditions, measurements, tables and pages."""
