"""Detectors: what makes a window rare, one module each."""
