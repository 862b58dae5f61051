"""Recipes: their keys, how they are read, and former names of keys."""
