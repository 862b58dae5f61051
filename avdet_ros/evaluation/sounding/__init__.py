"""Which visible vehicles make sound: truth, scores, parts, controls, hand-made baselines."""
