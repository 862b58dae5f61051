"""Quality of bearings: hits, errors, early detections, and false ones on empty roads."""
