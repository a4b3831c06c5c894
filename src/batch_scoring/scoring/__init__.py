"""Find the windows that need a score, by ranges of devices; the score itself is ``detection/score.py``."""
