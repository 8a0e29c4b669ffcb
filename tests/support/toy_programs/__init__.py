"""Stands for our package where only that commands run is tested: they leave what ours leave."""
