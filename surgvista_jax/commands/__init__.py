"""What can be typed: one module for each command, which nothing below imports."""
