"""Detection of vehicles in one window of features: the ONNX session and box arithmetic."""
