"""Find the windows that need a score, a range of devices at a time; the score itself is ``detection/score.py``."""
