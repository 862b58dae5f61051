"""Between numpy and ROS messages, live and in bags."""
