"""Find the windows that need a score, and score a partition."""
