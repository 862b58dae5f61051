"""Study of which seen vehicle sounds: selectors, filtered labels, attention, and their page."""
