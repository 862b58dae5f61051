"""Checks from the sound card to the GPU, with what to do about each (`avdet doctor`)."""
