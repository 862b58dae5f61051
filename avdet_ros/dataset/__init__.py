"""Drives on disk in the MAVD layout: files, splits, labels, cached features."""
