"""Stand-ins for services that nobody else emulates; they speak the real protocols on loopback."""
