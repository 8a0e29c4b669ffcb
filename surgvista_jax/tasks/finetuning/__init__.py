"""Finetuning and probing: a backbone and a head that learn the labels of clips."""
