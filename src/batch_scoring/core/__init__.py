"""Errors, ids, times, parameters and text, for every other package."""
