"""What test modules share by import; what they share as fixtures stands in a conftest.py."""
