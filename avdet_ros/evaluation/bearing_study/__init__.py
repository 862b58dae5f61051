"""The study of bearings: its conditions, what is measured in each, its tables and pages."""
