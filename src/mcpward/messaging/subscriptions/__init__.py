"""Streams that notify subscribers of changes."""
