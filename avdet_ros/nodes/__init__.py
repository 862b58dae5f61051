"""The ROS nodes, thin over the core: the only folder that imports rclpy."""
