"""What a trained model predicts for video."""
