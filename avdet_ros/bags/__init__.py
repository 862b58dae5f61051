"""rosbag2 recordings without ROS: read, repair, write, and turn into data sets."""
