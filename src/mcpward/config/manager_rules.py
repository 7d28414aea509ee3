"""Rules of the external secret manager that look at more than one key."""

from collections.abc import Iterator
from typing import Final

from mcpward.config.callable_urls import uncallable
from mcpward.config.model import Settings
from mcpward.config.violations import Rule, Violation

_TABLE: Final = "secrets.manager"


def manager_with_token(settings: Settings) -> Iterator[Violation]:
    """A manager needs a token, and settings of one have an effect only with its URL."""
    manager = settings.secrets.manager
    if manager.is_set and not manager.token:
        yield Violation(
            (f"{_TABLE}.url", f"{_TABLE}.token"),
            f"{_TABLE}.url is set, and no token",
            'set [secrets.manager] token = "env:VAULT_TOKEN", or "file:/path" of a token that is renewed there',
        )
    elif not manager.is_set and manager.model_fields_set - {"url"}:
        first = min(manager.model_fields_set - {"url"})
        yield Violation(
            (f"{_TABLE}.{first}", f"{_TABLE}.url"),
            f"{_TABLE}.{first} is set, and {_TABLE}.url is not",
            'set [secrets.manager] url = "https://…", or remove the table',
        )


def callable_manager(settings: Settings) -> Iterator[Violation]:
    """Its URL is called under the same rules as those of identity providers."""
    if settings.secrets.manager.is_set:
        yield from uncallable(settings, f"{_TABLE}.url", settings.secrets.manager.url)


MANAGER_RULES: Final[tuple[Rule, ...]] = (manager_with_token, callable_manager)
