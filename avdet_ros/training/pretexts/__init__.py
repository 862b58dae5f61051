"""Easier tasks that a student learns first, whose weights it begins with."""
