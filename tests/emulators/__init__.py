"""Stand-ins for services, which speak the real protocols on loopback; starters of what others emulate."""
