"""The only package that imports ``cryptography``: root keys, digests with pepper, and sealing with associated data."""
