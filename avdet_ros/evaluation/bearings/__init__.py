"""How good bearings are: right, wrong, early, and where nothing drives."""
