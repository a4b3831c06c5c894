"""Group readings into windows and compute their features."""
