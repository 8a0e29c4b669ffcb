"""The facts of the datasets: classes, splits, tables of triplets; NumPy at most."""
