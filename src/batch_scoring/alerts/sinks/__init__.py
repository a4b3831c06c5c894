"""Where notifications are sent: a log, a file, a webhook, an Event Hub."""
