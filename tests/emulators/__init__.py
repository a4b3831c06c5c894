"""Stand-ins for services that nobody else emulates, which speak the real protocols on loopback; starters of others."""
