"""From samples to features: clock, windows, levels, geometry. Free of ROS and of torch."""
