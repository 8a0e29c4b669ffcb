"""The correspondence of a file's arrays with parameters of ours, whatever the family."""
