"""Files of weights as they lie on the disk: read, checked, written."""
