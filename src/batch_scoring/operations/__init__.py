"""What people on shift do: act on incidents, silence alerts, and give verdicts that models learn from."""
