"""Clients of Azure Event Hubs: drain a hub in bounded batches behind checkpoints, and send."""
