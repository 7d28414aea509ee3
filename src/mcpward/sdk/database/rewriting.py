"""Rewrites the parameters of a statement where databases differ, so that authors write one form.

* PostgreSQL infers the type of a parameter from where it stands. ``:status IS NULL`` says nothing, so the answer is
  bound there in place of the value. ``IN :ids`` becomes ``= ANY(:ids)``: an array keeps the column's type if it is
  empty.
* Elsewhere ``IN :ids`` and ``IN (:ids)`` are the same list.
"""

from typing import Final

from mcpward.sdk.database.statement import INNER, tokens_of

_SILENT: Final = frozenset({"space", "comment"})
#: What stands before an operand that is a parameter by itself.
_BEFORE: Final = frozenset({"(", ",", "AND", "OR", "NOT", "WHERE", "WHEN", "ON", "HAVING", "SELECT", "THEN", "ELSE"})
_IS_NULL: Final = "__is_null"


def rewritten(
    text: str, *, arrays: frozenset[str], expanding: frozenset[str], asks_null: bool
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
        if name in arrays or name in expanding:
            _rewrite_list(words, loud, number, before, is_array=name in arrays)
        elif asks_null and (not before or before[-1] in _BEFORE) and (last := _asks(words, loud, number)):
            asked = f"{name}{_IS_NULL}"
            nulls[asked] = name
            is_not = last == number + 3
            words[place] = f"{'(NOT ' if is_not else ''}CAST(:{asked} AS boolean){')' if is_not else ''}"
            for one in loud[number + 1 : last + 1]:
                words[one] = ""
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
