"""How a server lets callers in. A mode belongs to one server, not to the process."""

from enum import StrEnum


class Mode(StrEnum):
    """The values are the words of the configuration."""

    API_KEY = "api-key"
    OAUTH = "oauth"
    UNLISTED = "unlisted"
    PUBLIC = "public"
