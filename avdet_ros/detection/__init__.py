"""From one window of features to boxes: the ONNX session and box arithmetic."""
