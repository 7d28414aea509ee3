"""API keys and secret URLs: their form, their records, and the caches that follow the store."""
