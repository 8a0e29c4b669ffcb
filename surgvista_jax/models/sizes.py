"""The sizes of ViTs by name. It needs no JAX, so that a plan of many runs reads it at once."""

# width, depth and heads by name (ViT-S, -B, -L, -H).
SIZES = {
    "small": {"width": 384, "depth": 12, "heads": 6},
    "base": {"width": 768, "depth": 12, "heads": 12},
    "large": {"width": 1024, "depth": 24, "heads": 16},
    "huge": {"width": 1280, "depth": 32, "heads": 16},
}
