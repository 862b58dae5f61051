"""Which pretext helps a student that has few labelled drives."""
