"""The edge: HTTP in, HTTP out. Owns framing limits, gates, routes and rendering; knows nothing of MCP's methods."""
