"""The results of a run: model files, scores, the model card."""
