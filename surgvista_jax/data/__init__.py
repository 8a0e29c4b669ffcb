"""From video files to batches of masked clips, on the host."""
