"""What a person does with a sound device: look at its levels, record it, tap its microphones."""
