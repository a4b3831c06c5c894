"""Watch models for drift."""
