"""Names of earlier releases and their present ones, for the hints of error messages. No old name is accepted."""

from typing import Final

SETTINGS: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("limits", "knocks"): ("limits", "auth_failures"),
    ("limits", "arrivals"): ("limits", "requests"),
}
"""Paths of settings."""
LIMITS: Final = {old[1]: new[1] for old, new in SETTINGS.items()}
"""Limits, as the record, the metrics and ``mcpward limits`` name them."""
REASONS: Final = {"too-many-knocks": "address-rate-exceeded"}
"""Reasons of refusals."""
