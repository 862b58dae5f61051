"""How good boxes in the image are."""
