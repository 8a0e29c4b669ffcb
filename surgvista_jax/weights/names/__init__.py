"""How the arrays of a file correspond to parameters of ours, whatever the family."""
