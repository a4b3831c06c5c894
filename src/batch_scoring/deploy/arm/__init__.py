"""Azure Resource Manager: the deployment is made, looked at, foretold and taken down."""
