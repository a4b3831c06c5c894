"""The container image of jobs and scheduler: built, pushed and described with podman or docker."""
