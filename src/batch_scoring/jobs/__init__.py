"""Jobs, one per sensor, on an engine that exists already: this machine, Dask, Batch AI or Azure Batch."""
