"""Schemas of the stored tables, and their conversion to arrays."""
