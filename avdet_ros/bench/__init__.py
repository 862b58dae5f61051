"""What measures the running graph, or breaks it on purpose."""
