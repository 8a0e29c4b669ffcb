"""What is this machine, what is installed on it, and what of it will hurt?"""
