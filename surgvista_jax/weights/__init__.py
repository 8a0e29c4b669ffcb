"""Parameters from other models' files, and into them."""
