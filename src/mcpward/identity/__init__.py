"""Identifies the caller: credentials in, principals out; one file per mode. Knows nothing of the request itself."""
