"""One training from drives to an ONNX file with its card."""
