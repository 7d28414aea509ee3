"""The imports of tool authors: a server with its tools, the caller, secrets, a database, guards. Knows nothing of
HTTP.
"""
