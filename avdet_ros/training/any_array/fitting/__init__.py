"""Fitting the student for any array: the loop, its files, validation."""
