"""Errors, ids, moments, parameters and text: what every other package may use."""
