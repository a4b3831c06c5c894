"""Handlers of requests: read the URL, ask a query, fill a template."""
