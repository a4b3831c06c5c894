"""Compare verdicts with known events: arrays in, figures out."""
