"""A walk from the sound card to the GPU: what is well, what is to do (`avdet doctor`)."""
