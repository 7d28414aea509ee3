"""How often and how many at once: rates per address and per caller, places per server, and the loop breaker."""
