"""Windows of any arrays, as a fitting is given them."""
