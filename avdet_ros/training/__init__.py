"""Teaching the student: the only folder that imports torch."""
