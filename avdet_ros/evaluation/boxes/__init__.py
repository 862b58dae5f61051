"""Quality of boxes in the image."""
