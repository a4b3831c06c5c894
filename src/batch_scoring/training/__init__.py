"""Choose the windows to train on, and promote what is better."""
