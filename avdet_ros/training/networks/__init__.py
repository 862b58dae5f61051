"""The students behind one interface."""
