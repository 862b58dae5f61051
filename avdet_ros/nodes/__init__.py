"""The ROS nodes, thin over the core; with messages/ the only folder that imports rclpy."""
