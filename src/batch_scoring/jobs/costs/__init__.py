"""Simulate what a schedule costs on which cluster, without an engine and without running a job."""
