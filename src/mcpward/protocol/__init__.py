"""Both eras of MCP on one endpoint: body to call, outcome to answer. Pure: no socket, no store, no tool is run."""
