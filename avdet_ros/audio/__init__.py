"""Sound in: sources, window buffer, features. Free of ROS and of torch."""
