"""What is learnt: pretraining, finetuning, temporal heads; and what their runs share."""
