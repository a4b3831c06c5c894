"""Stand-ins for services that nobody else emulates, and starters of emulators that others make."""
