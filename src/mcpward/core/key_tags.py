"""The tags of an API key: words, ``name=value`` or only a name. Tools may take the values (``FromCaller``)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType


def tag_values(words: Iterable[str]) -> Mapping[str, str]:
    """Return the value of each tag, "" for one that is only a name.

    A name with two values has none: nothing may be decided by which of them comes first.
    """
    words = tuple(dict.fromkeys(words))
    pairs = [word.partition("=") for word in words]
    counted = Counter(name for name, _, _ in pairs)
    return MappingProxyType({name: value for name, _, value in pairs if counted[name] == 1})


def repeated_name(words: Iterable[str]) -> str | None:
    """Return the first name that comes twice among tags of which one has a value."""
    counted: Counter[str] = Counter()
    valued: set[str] = set()
    for word in words:
        name, is_valued, _ = word.partition("=")
        counted[name] += 1
        if is_valued:
            valued.add(name)
    return next((name for name, count in counted.items() if count > 1 and name in valued), None)
