"""Pretexts: easier tasks that a student is trained on first, to start from their weights."""
