"""Compare predictions with labels: annotations of people, figures, findings and drawings."""
