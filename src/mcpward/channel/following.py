"""What a legacy session's stream is told of: lists, and whatever the session has subscribed to at the moment."""

from mcpward.channel.settings import SessionSettings
from mcpward.core.change import Topic


class Following:
    """Fits ``channel.stream.Wanted``. The session may subscribe and unsubscribe while the stream is open."""

    __slots__ = ("_session", "_settings", "tasks", "topics")

    def __init__(self, settings: SessionSettings, session: str, topics: frozenset[Topic]) -> None:
        self._settings = settings
        self._session = session
        self.topics = topics
        self.tasks: frozenset[str] = frozenset()

    @property
    def uris(self) -> frozenset[str]:
        """The resources that the session watches now."""
        return self._settings.uris(self._session)
