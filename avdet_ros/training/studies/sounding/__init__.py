"""Which seen vehicle sounds: selectors, filtered labels, attention, and the page of them all."""
