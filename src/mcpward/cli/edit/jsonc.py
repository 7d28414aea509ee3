"""Changes one value in a JSON text and leaves every other byte as it is: comments, order, indentation, line ends, a
byte order mark and trailing commas (JSONC, as VS Code, Zed and opencode read it). JSON5 is not read.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

from msgspec import Struct

from mcpward.cli.edit.path import Item, NotEditable, Path, Step, nested

_MOST_DEPTH: Final = 200
_SPACE: Final = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*[\s\S]*?\*/)*")
_WORD: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_MARK: Final = "\ufeff"


class Node(Struct):
    """A value in the text. ``members`` are those of an object or a list."""

    start: int
    end: int
    value: Any
    members: "list[Member] | None" = None


class Member(Struct):
    """One member of an object, or item of a list; ``comma`` is the position of the comma behind it, if there is one."""

    start: int
    node: Node
    key: str | None = None
    comma: int | None = None


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 1 if text.startswith(_MARK) else 0

    def document(self) -> Node | None:
        """Read the whole text; None if there is only space and comments."""
        self._skip()
        if self._at == len(self._text):
            return None
        node = self._value(0)
        self._skip()
        if self._at != len(self._text):
            raise NotEditable("more than one value")
        return node

    def _skip(self) -> None:
        self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches nothing, too

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> Node:
        if depth > _MOST_DEPTH:
            raise NotEditable("too deep")
        start, first = self._at, self._peek()
        if first in {"{", "["} and first:
            return self._container(depth, "}" if first == "{" else "]")
        if first == '"':
            value = self._string()
        else:
            word = _WORD.match(self._text, self._at)
            if word is None:
                raise NotEditable("not JSON")
            self._at, value = word.end(), json.loads(word[0])
        return Node(start, self._at, value)

    def _string(self) -> str:
        value, self._at = scanstring(self._text, self._at + 1, True)
        return str(value)

    def _container(self, depth: int, closing: str) -> Node:
        start, members = self._at, list[Member]()
        self._at += 1
        while True:
            self._skip()
            if self._peek() == closing:
                break
            if members and members[-1].comma is None:
                raise NotEditable("a comma is missing")
            members.append(self._member(depth, is_named=closing == "}"))
            self._skip()
            if self._peek() == ",":
                members[-1].comma = self._at
                self._at += 1
        self._at += 1
        values = [member.node.value for member in members]
        value = dict(zip((member.key for member in members), values, strict=True)) if closing == "}" else values
        return Node(start, self._at, value, members)

    def _member(self, depth: int, *, is_named: bool) -> Member:
        start, key = self._at, None
        if is_named:
            if self._peek() != '"':
                raise NotEditable("a name is not in quotes")
            key = self._string()
            self._skip()
            if self._peek() != ":":
                raise NotEditable("a colon is missing")
            self._at += 1
            self._skip()
        return Member(start, self._value(depth + 1), key)


def load(text: str) -> Any:
    """Return the content of a text; an empty object if it is blank."""
    try:
        return json.loads(text.removeprefix(_MARK), parse_constant=_refused)  # most files have no comments
    except (ValueError, RecursionError):
        node = _read(text)
    return {} if node is None else node.value


def _refused(word: str) -> Any:
    raise NotEditable(f"{word} is not JSON")


def put(text: str, path: Path, value: Any) -> str:
    """Return the text with ``value`` at ``path``; containers that are missing, or null, are made.

    Raises:
        NotEditable: the text cannot be parsed, or the path leads through something else.
    """
    node = _read(text)
    if node is None:
        line = newline_of(text)
        head = text if not text.strip(_MARK + " \t\r\n") or text.endswith("\n") else text + line
        text = head + "{}" + line
        node = _read(text)
    assert node is not None
    root = node
    for depth, step in enumerate(path):
        member, rest = _find(node, step), path[depth + 1 :]
        if member is None:
            return _inserted(text, root, node, step, nested(rest, value))
        node = member.node
        if not rest or node.value is None:
            return _replaced(text, root, node, nested(rest, value))
    raise NotEditable("no path")


def drop(text: str, path: Path) -> str:
    """Return the text without the member at ``path``; comments around it stay."""
    node = _read(text)
    for step in path[:-1]:
        member = None if node is None or node.value is None else _find(node, step)
        node = None if member is None else member.node
    gone = None if node is None or node.value is None else _find(node, path[-1])
    if node is None or node.members is None or gone is None:
        return text
    at = node.members.index(gone)
    end = gone.node.end if gone.comma is None else gone.comma + 1
    text = _without(text, gone.start, end, is_last=at + 1 == len(node.members))
    before = node.members[at - 1].comma if at and gone.comma is None else None
    return text if before is None else text[:before] + text[before + 1 :]


def newline_of(text: str) -> str:
    """Return the line end that a text uses."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def _read(text: str) -> Node | None:
    try:
        return _Reader(text).document()
    except NotEditable:
        raise
    except (ValueError, RecursionError) as wrong:
        raise NotEditable("not JSON") from wrong


def _find(node: Node, step: Step) -> Member | None:
    if node.members is None or isinstance(node.value, dict) is isinstance(step, Item):
        raise NotEditable("not the container that was expected")
    if isinstance(step, Item):
        same = [one for one in node.members if _has(one.node.value, step)]
    else:
        same = [one for one in node.members if one.key == step]
    if len(same) > 1:
        raise NotEditable("a name is repeated")
    return same[0] if same else None


def _has(value: Any, step: Item) -> bool:
    return isinstance(value, dict) and value.get(step.field) == step.value


def _inserted(text: str, root: Node, container: Node, step: Step, value: Any) -> str:
    assert container.members is not None
    key = f"{json.dumps(step, ensure_ascii=False)}: " if isinstance(step, str) else ""
    line, unit = newline_of(text), _unit(text, root)
    close = container.end - 1
    if container.members and not _breaks(text, container):
        last = container.members[-1]
        piece = key + json.dumps(value, ensure_ascii=False)
        if last.comma is not None:
            return f"{text[: last.comma + 1]} {piece},{text[last.comma + 1 :]}"
        return f"{text[: last.node.end]}, {piece}{text[last.node.end :]}"
    content = len(text[:close].rstrip(" \t\r\n"))
    first_break = text.find("\n", content, close)
    # Spaces at the end of a line comment belong to the line.
    at = content if first_break < 0 else first_break - (text[first_break - 1] == "\r")
    if not container.members:
        base = _margin(text, container.start)
        tail = text[at:close] if first_break >= 0 else line + base
        return text[:at] + _block(line, base + unit, unit, key, value) + tail + text[close:]
    last = container.members[-1]
    block = _block(line, _margin(text, container.members[0].start), unit, key, value)
    if last.comma is not None:
        return text[:at] + block + "," + text[at:]
    return text[: last.node.end] + "," + text[last.node.end : at] + block + text[at:]


def _replaced(text: str, root: Node, node: Node, value: Any) -> str:
    if node.members and not _breaks(text, node):
        shown = json.dumps(value, ensure_ascii=False)
    else:
        shown = _shown(newline_of(text), _margin(text, node.start), _unit(text, root), value)
    return text[: node.start] + shown + text[node.end :]


def _block(line: str, margin: str, unit: str, key: str, value: Any) -> str:
    return f"{line}{margin}{key}{_shown(line, margin, unit, value)}"


def _shown(line: str, margin: str, unit: str, value: Any) -> str:
    return json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", line + margin)


def _breaks(text: str, container: Node) -> bool:
    """Whether the first member of a container stands on a line of its own."""
    assert container.members
    return "\n" in text[container.start : container.members[0].start]


def _margin(text: str, at: int) -> str:
    """Return the white space at the beginning of the line of ``at``."""
    begin = text.rfind("\n", 0, at) + 1
    line = text[begin:at].lstrip(_MARK) if begin == 0 else text[begin:at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str, root: Node) -> str:
    """Return one level of indentation, as the text has it."""
    if root.members and _breaks(text, root):
        margin = _margin(text, root.members[0].start)
        outer = _margin(text, root.start)
        return margin.removeprefix(outer) or "  "
    return "  "


def _without(text: str, start: int, end: int, *, is_last: bool) -> str:
    begin = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    stop = len(text) if line_end < 0 else line_end
    if not text[begin:start].strip() and not text[end:stop].strip() and begin and line_end >= 0:
        return text[:begin] + text[line_end + 1 :]
    if is_last:
        kept = text[:start].rstrip(" \t")
        return (kept if not kept.endswith("\n") else text[:start]) + text[end:]
    return text[:start] + text[end:].lstrip(" \t")
