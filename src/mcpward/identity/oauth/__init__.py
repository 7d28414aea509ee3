"""OAuth 2: providers, their metadata and keys, bearer tokens, introspection and token exchange."""
