"""The engine ``batch_ai``: one container job per shard on Azure Batch AI, API 2018-05-01, retired in 2019."""
