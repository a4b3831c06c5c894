"""The ways to score a fleet that are measured side by side; each module is a program of its own."""
