"""Notify sinks of changed incidents: each change at least once, each sink independently."""
