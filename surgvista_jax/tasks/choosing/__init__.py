"""What a run takes that nobody said: choices from facts of its dataset and of its devices."""
