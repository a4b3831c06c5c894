"""Versions of models: published, staged, tracked and imported."""
