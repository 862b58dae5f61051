"""Comparison of pretexts for a student with few labelled drives."""
