"""Fitting the student for any array: the loop, its files, validation, what it holds on to."""
