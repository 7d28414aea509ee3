"""Streams that tell subscribers of changes."""
