"""Windows and pictures in memory, in the form that training uses."""
