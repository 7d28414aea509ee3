"""Everything mcpward keeps, in SQLite or PostgreSQL from the same code. The only room that knows SQL.

Ports belong to the rooms that need them (``identity``, ``traffic``, ``vault``); the tables here fit them.
"""
