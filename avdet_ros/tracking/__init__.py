"""Trackers: the same boxes, with identities."""
