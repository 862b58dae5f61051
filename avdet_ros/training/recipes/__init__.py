"""Recipes: their keys, how they are read, and keys of former names."""
