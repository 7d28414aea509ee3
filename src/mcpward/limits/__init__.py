"""How often and how many at once: rates per address and per caller, slots per server, and the loop breaker."""
