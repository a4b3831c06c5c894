"""Events of an Azure event hub as catalog datasets: drained in bounded batches, and published."""

from batch_scoring.datasets.event_hub.dataset import EventHub, LandedEvents, PublishedEvents

__all__ = ["EventHub", "LandedEvents", "PublishedEvents"]
