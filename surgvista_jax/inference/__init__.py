"""What a trained model says of video."""
