"""Which visible vehicle sounds: truth, scores, parts, controls, hand-made rows."""
