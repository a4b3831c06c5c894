"""What the pages show, read from the tables; independent of HTTP."""
