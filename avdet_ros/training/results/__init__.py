"""What comes out of a run: model files, scores, the model card."""
