"""Quality of tracks in the image."""
