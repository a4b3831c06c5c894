"""The deployed system on one machine: the real image, template and workflow on stand-ins for the services."""
