"""Fitting the student for any array: windows of drawn arrays, the loop, validation."""
