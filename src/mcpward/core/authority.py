"""The authority that judges a credential: the store of keys, or an identity provider of the site."""

from typing import Final

STORE: Final = "store"
"""The name of the store."""


def provider(name: str) -> str:
    """Return the name of the provider that the operator calls ``name``; it is never :data:`STORE`."""
    return f"provider {name}"
