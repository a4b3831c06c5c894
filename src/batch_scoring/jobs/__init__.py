"""Run one job per sensor on an existing engine: this machine, Dask, Batch AI or Azure Batch."""
