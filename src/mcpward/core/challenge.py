"""What a refused client is told to do about its credential (RFC 6750 §3, RFC 9728 §5.1). Public in every part."""

from msgspec import Struct


class Challenge(Struct, frozen=True):
    """Where the protected resource metadata of a server are, and the scopes to ask for.

    A refusal carries it as the fact ``challenge``; what is wrong with the credential is the refusal's reason.
    """

    metadata: str
    scopes: tuple[str, ...] = ()
