"""The engine ``azure_batch``: a Batch job a scheduled run, a task a shard, a pool that scales to zero."""
