"""The engine ``container_apps``: a job of Azure Container Apps, started once a shard; there are no nodes."""
