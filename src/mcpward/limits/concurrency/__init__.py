"""How many at once: slots of servers, callers, tools and pools, and the queue for them."""
