"""Azure Resource Manager: up, status, what-if and down of the deployment."""
