"""The commands: one module for each that can be typed; nothing below imports them."""
