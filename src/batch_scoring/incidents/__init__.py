"""Join anomalous windows to incidents, and rank the incidents of devices."""
