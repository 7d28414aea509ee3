"""Everything mcpward keeps, in SQLite or PostgreSQL from the same code. The only package that knows SQL.

Ports belong to the packages that need them (``identity``, ``traffic``, ``vault``); the tables here fit them.
"""
