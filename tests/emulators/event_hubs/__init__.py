"""A stand-in for Azure Event Hubs: AMQP 1.0 on loopback, without TLS, for the real azure-eventhub client."""
