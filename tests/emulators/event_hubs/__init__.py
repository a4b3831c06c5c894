"""A stand-in for Azure Event Hubs: AMQP 1.0 on loopback, without TLS, for the real azure-eventhub client."""

# Printed with its partition when a receiver is let in; a test that waits for one looks for it.
RECEIVER = "receiver of partition"
