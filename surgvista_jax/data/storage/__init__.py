"""Dataset folders on disk: what they hold, and how their pixels are read."""
