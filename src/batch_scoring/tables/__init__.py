"""Schemas of the stored tables, and what turns them into arrays."""
