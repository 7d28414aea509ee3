"""Changes one value in a YAML text and leaves every other line as it is. It changes mappings in block style and lists
of them, and nothing if a collection is written in flow style (``{a: 1}``) and is not empty.
"""

import json
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mcpward.cli.edit.jsonc import newline_of
from mcpward.cli.edit.path import Item, NotEditable, Path, Step, found, nested

_INDENT = "  "
_MOST_VALUES = 200_000


def load(text: str) -> Any:
    """Return the content of a text; an empty object if there is none."""
    try:
        content = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as wrong:
        raise NotEditable("not YAML") from wrong
    return {} if content is None else _unshared(content, [_MOST_VALUES])


def _unshared(value: Any, left: list[int]) -> Any:
    """Copy what aliases share, so that a change at one place is seen to be one at the other, too."""
    left[0] -= 1
    if left[0] < 0:
        raise NotEditable("too many values")
    if isinstance(value, dict):
        return {key: _unshared(one, left) for key, one in value.items()}
    return [_unshared(one, left) for one in value] if isinstance(value, list) else value


def put(text: str, path: Path, value: Any) -> str:
    """Return the text with ``value`` at ``path``.

    Raises:
        NotEditable: the text cannot be parsed, or what is to be changed is written in flow style.
    """
    node = _composed(text)
    line = newline_of(text)
    if node is None:
        head = text if not text or text.endswith("\n") or not text.strip("\ufeff") else text + line
        return head + line.join(_lines(nested(path, value))) + line
    for depth, step in enumerate(path):
        rest = path[depth + 1 :]
        key, inner = _find(node, step)
        if inner is None:
            return _inserted(text, node, step, nested(rest, value))
        if not rest or _is_empty(inner):
            if key is None:
                raise NotEditable("a whole item is not replaced")
            return _replaced(text, key, inner, step, nested(rest, value))
        node = inner
    raise NotEditable("no path")


def drop(text: str, path: Path) -> str:
    """Return the text without the member at ``path``."""
    if found(load(text), path) is None:
        return text
    outer, node = None, _composed(text)
    for step in path[:-1]:
        outer, node = _find(node, step)
    key, inner = _find(node, path[-1])
    assert inner is not None
    begin = text.rfind("\n", 0, (key or inner).start_mark.index) + 1
    if text[begin : (key or inner).start_mark.index].strip("\ufeff ") not in {"", "-"} or (key and "-" in text[begin]):
        raise NotEditable("it does not stand on a line of its own")
    stop = text.find("\n", _end(text, inner))
    head, tail = text[:begin], "" if stop < 0 else text[stop + 1 :]
    if len(node.value) > 1 or outer is None:
        return head + tail
    at = _colon(text, outer) + 1  # of the last member an empty collection is left, not null
    return f"{head[:at]} {'{}' if key else '[]'}{head[at:]}{tail}"


def _composed(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, ValueError, RecursionError) as wrong:
        raise NotEditable("not YAML") from wrong


def _find(node: Node, step: Step) -> tuple[Node | None, Node | None]:
    """Return the key and the value of a step; an item of a list has no key."""
    if isinstance(step, Item):
        if not isinstance(node, SequenceNode):
            raise NotEditable("not a list")
        for one in node.value:
            if isinstance(one, MappingNode) and _value_of(one, step.field) == step.value:
                return None, one
        return None, None
    if not isinstance(node, MappingNode):
        raise NotEditable("not a mapping")
    for key, value in node.value:
        if key.value == step:
            return key, value
    return None, None


def _value_of(node: MappingNode, name: str) -> Any:
    return next((value.value for key, value in node.value if key.value == name), None)


def _is_empty(node: Node) -> bool:
    if isinstance(node, ScalarNode):
        return str(node.tag).endswith(":null")
    return not node.value


def _is_flow(node: Node) -> bool:
    return bool(getattr(node, "flow_style", False))


def _inserted(text: str, node: Node, step: Step, value: Any) -> str:
    if _is_flow(node) or not node.value:
        raise NotEditable("flow style")
    lines = _lines({step: value} if isinstance(step, str) else [value])
    return _with_lines(text, _end(text, node), lines, " " * node.start_mark.column)


def _with_lines(text: str, at: int, lines: list[str], margin: str) -> str:
    line = newline_of(text)
    block = line.join(margin + one for one in lines) + line
    stop = text.find("\n", at)
    if stop < 0:
        return text + line + block
    return text[: stop + 1] + block + text[stop + 1 :]


def _replaced(text: str, key: Node, old: Node, step: Step, value: Any) -> str:
    margin = " " * key.start_mark.column
    colon = _colon(text, key) + 1
    lines = _lines({step: value})
    if _is_empty(old) and len(lines) > 1:
        end = int(old.end_mark.index)
        is_written = bool(text[old.start_mark.index : end].strip())
        text = text[:colon] + text[end if is_written else colon :]
        return _with_lines(text, colon, lines[1:], margin)
    end = colon if _is_unwritten(old) else _end(text, old)
    shown = newline_of(text).join([lines[0], *(margin + one for one in lines[1:])])
    return text[: key.start_mark.index] + shown + text[end:]


def _is_unwritten(node: Node) -> bool:
    """Whether a value is missing: its marks are then somewhere behind its key."""
    return isinstance(node, ScalarNode) and node.start_mark.index == node.end_mark.index


def _colon(text: str, key: Node) -> int:
    return text.index(":", key.end_mark.index)


def _end(text: str, node: Node) -> int:
    """Return the end of the last line of a node's content, without comments behind it."""
    while not isinstance(node, ScalarNode) and not _is_flow(node) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
        if isinstance(last, tuple) and _is_unwritten(node):
            return _colon(text, last[0]) + 1
    end = int(node.end_mark.index)
    return len(text[:end].rstrip(" \r\n")) if text[:end].endswith("\n") else end


def _lines(value: Any) -> list[str]:
    """Write a value in block style; texts are in double quotes, which YAML reads as JSON does."""
    if isinstance(value, dict) and value:
        return [line for key, one in value.items() for line in _member(key, one)]
    if isinstance(value, list) and value:
        lines = list[str]()
        for one in value:
            first, *rest = _lines(one)
            lines += [f"- {first}", *(_INDENT + line for line in rest)]
        return lines
    return [json.dumps(value, ensure_ascii=False)]


def _member(key: str, value: Any) -> list[str]:
    shown = _lines(value)
    if isinstance(value, dict | list) and value:
        return [f"{key}:", *(_INDENT + line for line in shown)]
    return [f"{key}: {shown[0]}"]
