"""Many trainings: tables, searches, costs."""
