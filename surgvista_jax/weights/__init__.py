"""How parameters come in from other models' files and go out to them."""
