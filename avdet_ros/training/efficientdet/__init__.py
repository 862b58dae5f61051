"""EfficientDet, the network of the teachers and of the paper's student, and its loss."""
