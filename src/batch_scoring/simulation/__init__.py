"""Simulate a fleet of devices with labelled faults."""
