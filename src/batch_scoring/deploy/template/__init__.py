"""Build and check the ARM template of the whole deployment, and its parameters."""
