"""What tool authors import: a server with its tools, the caller, secrets, a database, guards. Knows nothing of HTTP."""
