"""rosbag2 recordings without ROS: read, repair, write and convert to data sets."""
