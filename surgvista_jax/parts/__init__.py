"""One command's work divided among machines that share a disk, and merged again."""
