"""Label files of any layout, read into labels over time."""
