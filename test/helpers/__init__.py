"""Helpers that test modules import; shared fixtures are in the conftest.py files."""
