"""SurgVISTA in JAX: a masked-video foundation model for surgery, from raw videos to reports."""

__version__ = "0.1.0"
