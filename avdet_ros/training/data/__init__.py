"""Windows and pictures in memory, as training takes them."""
