"""Databases for tools: parameterised statements only, each caller in turn."""
