"""Run one job per sensor on an engine: this machine, Dask, Azure Batch, Container Apps or Batch AI."""
