"""Studies: grids of runs, planned, run, collected and reported."""
