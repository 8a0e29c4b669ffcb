"""Reports on predictions: scored by a protocol, compared, and put into words and pictures."""
