"""From dataset folders to batches of clips, the same ones on any machine."""
