"""The files of ``deploy/schedulers``, which people copy: each is what its scheduler reads, and is run."""
