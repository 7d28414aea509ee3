"""The only room that imports ``cryptography``: root keys, digests with a pepper, and sealing with associated data."""
