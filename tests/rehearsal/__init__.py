"""The deployed system on one machine: real image, real template, real workflow, stand-ins for the services."""
