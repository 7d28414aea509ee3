"""Calls that wait for a person's yes where their client cannot ask: kept, decided elsewhere, and used once."""
