"""Choose the windows to train on, and decide on promotion."""
