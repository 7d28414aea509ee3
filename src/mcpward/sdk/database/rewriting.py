"""Rewrites the parameters of a statement where databases differ, so that authors write one form.

* PostgreSQL infers the type of a parameter from where it stands. ``:status IS NULL`` says nothing, so the answer is
  bound there in place of the value. ``IN :ids`` becomes ``= ANY(:ids)``: an array keeps the column's type if it is
  empty.
* Elsewhere ``IN :ids`` and ``IN (:ids)`` are the same list.
* A list is not NULL, so ``:ids IS NULL`` is answered in place of it everywhere.
"""

from functools import lru_cache
from typing import Final

from mcpward.sdk.database.statement import INNER, tokens_of

_SILENT: Final = frozenset({"space", "comment"})
#: What stands before an operand that is a parameter by itself.
_BEFORE: Final = frozenset({"(", ",", "AND", "OR", "NOT", "WHERE", "WHEN", "ON", "HAVING", "SELECT", "THEN", "ELSE"})
_IS_NULL: Final = "__is_null"


_MOST: Final = 1000


@lru_cache(maxsize=_MOST)
def lists_of(text: str) -> frozenset[str]:
    """Return the names of parameters that stand for a list: ``IN :ids`` and ``IN (:ids)``."""
    loud = [value for kind, value in tokens_of(text) if kind not in _SILENT]
    found = set()
    for number, value in enumerate(loud):
        if value.upper() == "IN":
            named = loud[number + 1 : number + 4]
            if named[:1] == ["("] and named[2:] == [")"]:
                named = named[1:2]
            found |= {one[1:] for one in named[:1] if one.startswith(":")}
    return frozenset(found)


def rewritten(
    text: str, *, arrays: frozenset[str], expanding: frozenset[str], is_postgresql: bool
) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return a statement for SQLAlchemy's ``text()``, and which further parameters say that another one is NULL.

    ``arrays`` are lists that are bound as one value, ``expanding`` those that become several.
    """
    kinds, words = [], []
    for kind, value in tokens_of(text):
        kinds.append(kind)
        # It looks for names in quotes and comments, too, and a driver writes the values there.
        words.append(value.replace(":", r"\:") if kind in INNER else value)
    loud = [place for place, kind in enumerate(kinds) if kind not in _SILENT]
    nulls: dict[str, str] = {}
    for number, place in enumerate(loud):
        if kinds[place] != "name":
            continue
        name = words[place][1:]
        before = [words[one].upper() for one in loud[max(0, number - 3) : number]]
        is_list = name in arrays or name in expanding
        is_alone = not before or before[-1] in _BEFORE
        if (is_list or is_postgresql) and is_alone and (last := _asks(words, loud, number)):
            asked = f"{name}{_IS_NULL}"
            nulls[asked] = name
            answer = f"CAST(:{asked} AS boolean)" if is_postgresql else f":{asked}"
            words[place] = f"(NOT {answer})" if last == number + 3 else answer
            for one in loud[number + 1 : last + 1]:
                words[one] = ""
        elif is_list:
            _rewrite_list(words, loud, number, before, is_array=name in arrays)
        elif kinds[place + 1 : place + 2] == ["cast"]:
            words[place] += " "  # SQLAlchemy reads :name:: otherwise
    return "".join(words), tuple(nulls.items())


def _asks(words: list[str], loud: list[int], number: int) -> int:
    """Return where ``IS [NOT] NULL`` after a parameter ends, 0 if there is none."""
    after = [words[one].upper() for one in loud[number + 1 : number + 4]]
    if after[:2] == ["IS", "NULL"]:
        return number + 2
    return number + 3 if after == ["IS", "NOT", "NULL"] else 0


def _rewrite_list(words: list[str], loud: list[int], number: int, before: list[str], *, is_array: bool) -> None:
    place, first = loud[number], number - 1
    if before[-2:] == ["IN", "("] and number + 1 < len(loud) and words[loud[number + 1]] == ")":
        words[loud[first]] = words[loud[number + 1]] = ""
        first, before = first - 1, before[:-1]
    if not is_array or not before or before[-1] != "IN":
        return
    is_not = before[-2:-1] == ["NOT"]
    words[loud[first]] = "" if is_not else "= ANY"
    if is_not:
        words[loud[first - 1]] = "<> ALL"
    words[place] = f"({words[place]})"
