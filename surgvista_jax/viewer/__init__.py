"""The page of a video: what a model says of an operation, to be looked at in a browser."""
