"""How good tracks in the image are."""
