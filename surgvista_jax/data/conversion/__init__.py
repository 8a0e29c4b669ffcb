"""From foreign videos and labels to a dataset folder."""
