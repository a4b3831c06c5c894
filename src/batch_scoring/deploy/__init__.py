"""What runs in the cloud beside the pipelines, as text to be deployed: nothing here is imported by a run."""
