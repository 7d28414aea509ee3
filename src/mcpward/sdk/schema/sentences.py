"""The sentences of guards, at the end of the description of what they guard."""

from collections.abc import Iterable
from typing import Any

from mcpward.sdk.guards.parameter_guard import SENTENCES
from mcpward.sdk.schema.schema_bounds import parts


def with_sentences(schema: Any) -> Any:
    """Move the sentences that guards left in a schema into its descriptions, in place."""
    for part in list(parts(schema)):
        if isinstance(part, dict) and (sentences := part.pop(SENTENCES, None)):
            part["description"] = described(part.get("description", ""), sentences)
    return schema


def described(text: str, sentences: Iterable[str], gap: str = " ") -> str:
    """Return a description with further sentences."""
    text = text.strip()
    more = " ".join(sentence if sentence.endswith(".") else f"{sentence}." for sentence in sentences)
    if not text or not more:
        return text or more
    return f"{text if text[-1] in '.!?' or gap != ' ' else f'{text}.'}{gap}{more}"
