"""What happens around a run, and is no step of it."""

from __future__ import annotations


class ProjectHooks:
    """Hooks of the project."""
