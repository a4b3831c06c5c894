"""Telling others what has changed of incidents: each change at least once, to every sink by itself."""
