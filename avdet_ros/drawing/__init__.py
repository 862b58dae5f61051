"""Pictures for people: camera view, boxes, sound. Free of ROS."""
