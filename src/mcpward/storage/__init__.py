"""Everything mcpward keeps. The only package that knows SQL.

The same code runs on SQLite and PostgreSQL, and its contract is tested on both; a site may use SQLite only.

Ports belong to the packages that need them (``identity``, ``traffic``, ``vault``); the tables here fit them.
"""
