"""Losses between teachers and student, and of anchors."""
