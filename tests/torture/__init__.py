"""Promises that hold under kills, faults and bad input, tried at random: `python -m tests.torture`.

Not part of the daily tests: it runs for as many minutes as it is given.
"""
