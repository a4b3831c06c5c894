"""What every Azure client shares: credentials, retries, no secrets in logs."""
