"""How good tracks in metres are, and what is told of vehicles behind corners."""
