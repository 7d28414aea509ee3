"""The advice to a refused client on its credential (RFC 6750 §3, RFC 9728 §5.1). Public in every part."""

from collections.abc import Mapping

from msgspec.structs import replace

from mcpward.core.facts import Fact


class Challenge(Fact, frozen=True):
    """The address of a server's protected resource metadata, and the scopes to request.

    The fault of the credential is the refusal's reason. ``others`` maps each further URL of the server to the metadata
    of that one.
    """

    metadata: str
    scopes: tuple[str, ...] = ()
    others: Mapping[str, str] = {}

    def at(self, url: str) -> "Challenge":
        """Return the challenge for a client that used ``url``, or this one if the metadata are the same."""
        metadata = self.others.get(url)
        return self if metadata is None else replace(self, metadata=metadata)
