import json
import re
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mcpward.cli import edit
from mcpward.cli.edit import Item, NotEditable

OURS = {"type": "http", "url": "https://h/mcp", "headers": {"Authorization": "Bearer ${K}"}}
NOTES = ["", " ", "\n", "\r\n", "\t", "// a note\n", "/* a note */", '  // é } ] , " \n', "\n\n"]
SLOW = settings(suppress_health_check=[HealthCheck.too_slow], max_examples=120)
NAMES = st.text('abcé"\\/ {}:,', min_size=0, max_size=4)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 99999), st.text(max_size=6), st.sampled_from([1.5, -0.25, 1e30])
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


@st.composite
def jsonc(draw, value, *, top=True):
    """Write a value with comments, space and trailing commas wherever JSONC allows them."""

    def note():
        return draw(st.sampled_from(NOTES))

    if isinstance(value, dict | list):
        members = [
            (note() + json.dumps(key) + note() + ":" if isinstance(value, dict) else "")
            + note()
            + draw(jsonc(value[key] if isinstance(value, dict) else key, top=False))
            + note()
            for key in value
        ]
        tail = "," + note() if members and draw(st.booleans()) else note()
        text = ("{" if isinstance(value, dict) else "[") + ",".join(members) + tail
        text += "}" if isinstance(value, dict) else "]"
    else:
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    return draw(st.sampled_from(["", "\ufeff"])) + note() + text + note() if top else text


@st.composite
def json_files(draw):
    value = draw(st.dictionaries(NAMES, VALUES, max_size=4))
    table = draw(st.sampled_from(["absent", "null", "empty", "full"]))
    if table != "absent":
        others = draw(st.dictionaries(NAMES, VALUES, max_size=3)) if table == "full" else {}
        value["servers"] = None if table == "null" else others
    return value, draw(jsonc(value))


def comments(text):
    return re.findall(r"// [^\r\n]*|/\* a note \*/", text)


@SLOW
@given(json_files())
def test_a_json_text_gets_one_member_and_keeps_the_rest(file):
    value, text = file
    assert edit.load("json", text) == value
    after = edit.put("json", text, ("servers", "ours"), OURS)
    expected = {**value, "servers": {**(value.get("servers") or {}), "ours": OURS}}
    assert edit.load("json", after) == expected
    assert comments(after) == comments(text)
    assert after.startswith("\ufeff") is text.startswith("\ufeff")
    kept = re.sub(r"[\s,]", "", text)
    left = iter(re.sub(r"[\s,]", "", after))
    if value.get("servers") is not None:
        assert all(one in left for one in kept), "a character of the old text is gone"


@SLOW
@given(json_files())
def test_a_member_of_a_json_text_goes_as_it_came(file):
    value, text = file
    added = edit.put("json", text, ("servers", "ours"), OURS)
    gone = edit.drop("json", added, ("servers", "ours"))
    assert edit.load("json", gone) == {**value, "servers": value.get("servers") or {}}
    assert comments(gone) == comments(text)
    assert edit.drop("json", gone, ("servers", "ours")) == gone


@SLOW
@given(json_files(), st.data())
def test_any_member_of_a_json_text_can_be_replaced_and_dropped(file, data):
    value, text = file
    if not value:
        return
    name = data.draw(st.sampled_from(sorted(value)))
    assert edit.load("json", edit.put("json", text, (name,), [1, {"a": "b"}])) == {**value, name: [1, {"a": "b"}]}
    rest = {key: one for key, one in value.items() if key != name}
    assert edit.load("json", edit.drop("json", text, (name,))) == rest


def test_a_pretty_json_text_gets_its_member_in_its_own_style():
    before = '{\r\n\t"servers": {\r\n\t\t"a": {}, // keep\r\n\t},\r\n\t"z": [1,  2]\r\n}\r\n'
    after = edit.put("json", before, ("servers", "b"), {"url": "u"})
    own = '\t\t"b": {\r\n\t\t\t"url": "u"\r\n\t\t},\r\n'
    assert after == before.replace("// keep\r\n", "// keep\r\n" + own)
    assert edit.drop("json", after, ("servers", "b")) == before


@pytest.mark.parametrize(
    "text", ["{'a': 1}", "{a: 1}", '{"a": 01}', '{"a": +1}', '{"a": .5}', "{,}", "[1 2]", '"\n"', '{"a": NaN}']
)
def test_what_is_not_json_with_comments_is_refused(text):
    with pytest.raises(NotEditable):
        edit.load("json", text)


def test_a_list_of_objects_gets_and_loses_an_item():
    before = '{"inputs": [{"id": "a", "n": 1}]}'
    after = edit.put("json", before, ("inputs", Item("id", "b")), {"id": "b"})
    assert json.loads(after) == {"inputs": [{"id": "a", "n": 1}, {"id": "b"}]}
    assert edit.drop("json", after, ("inputs", Item("id", "b"))) == before


WORDS = st.text("abcdefgh", min_size=1, max_size=5)
TOML_LEAVES = st.one_of(st.booleans(), st.integers(0, 99), st.text("abc é#'", max_size=5))


@st.composite
def toml_files(draw):
    """Tables of servers and others in any order, with comments, both line ends and a byte order mark."""
    line = draw(st.sampled_from(["\n", "\r\n"]))
    names = draw(st.lists(WORDS, unique=True, max_size=4))
    tables = [
        draw(st.sampled_from(["", f"# note {name}{line}"]))
        + f"[{draw(st.sampled_from(['mcp_servers.', '']))}{name}]{line}"
        + "".join(
            f"{key} = {json.dumps(one)}  # why{line}"
            for key, one in draw(st.dictionaries(WORDS, TOML_LEAVES, max_size=3)).items()
        )
        for name in names
    ]
    return draw(st.sampled_from(["", "\ufeff"])) + f"model = 1{line}" + line.join(tables)


@SLOW
@given(toml_files())
def test_a_toml_text_gets_a_table_changes_it_and_loses_it(text):
    ours = {"url": "https://h/mcp", "bearer_token_env_var": "K"}
    old = tomllib.loads(text.removeprefix("\ufeff"))
    after = edit.put("toml", text, ("mcp_servers", "ours-x"), ours)
    assert after.startswith(text.rstrip("\r\n"))
    assert ("\r\n" in after) is ("\r\n" in text)
    changed = edit.put("toml", after, ("mcp_servers", "ours-x", "url"), "https://other/mcp")
    assert changed == after.replace("https://h/mcp", "https://other/mcp")
    gone = edit.drop("toml", changed, ("mcp_servers", "ours-x"))
    assert edit.load("toml", gone) == old
    assert gone.rstrip("\r\n") == text.rstrip("\r\n")


YAML_LEAVES = st.sampled_from(
    ["1", "true", '"a: b"', "plain text", "'q'", "~", "[1, 2]", "{a: 1}", "|\n{}  one\n{}  two", ""]
)


@st.composite
def yaml_files(draw):
    """A mapping in block style with comments, several indentations, and a table of servers or none."""
    pad = " " * draw(st.sampled_from([1, 2, 4]))

    def block(names, margin):
        lines = ""
        for name in names:
            note = draw(st.sampled_from(["", f"{margin}# about {name}\n", "\n"]))
            leaf = draw(YAML_LEAVES).replace("{}", margin)
            lines += f"{note}{margin}{name}: {leaf}{draw(st.sampled_from(['', ' # why'])) if '|' not in leaf else ''}\n"
        return lines

    head = block(draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3)), "")
    table = draw(st.sampled_from(["", "extensions:\n", "extensions: {}\n", "extensions: # none\n", "full"]))
    if table == "full":
        inner = draw(st.lists(st.sampled_from("pqr"), unique=True, min_size=1, max_size=3))
        table = "extensions:\n" + block(inner, pad)
    text = head + table + block(draw(st.lists(st.sampled_from("xyz"), unique=True, max_size=3)), "")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@SLOW
@given(yaml_files())
def test_a_yaml_text_gets_a_member_changes_it_and_loses_it(text):
    old = YAML(typ="safe", pure=True).load(text) or {}
    after = edit.put("yaml", text, ("extensions", "ours"), OURS)
    assert edit.load("yaml", after) == {**old, "extensions": {**(old.get("extensions") or {}), "ours": OURS}}
    lines = iter(after.splitlines())
    if old.get("extensions"):
        assert all(line in lines for line in text.splitlines()), "a line of the old text is gone or changed"
    assert re.findall(r"#.*", after) == re.findall(r"#.*", text)
    changed = edit.put("yaml", after, ("extensions", "ours", "url"), "https://other/mcp")
    assert changed == after.replace("https://h/mcp", "https://other/mcp")
    gone = edit.drop("yaml", changed, ("extensions", "ours"))
    assert edit.load("yaml", gone) == {**old, "extensions": old.get("extensions") or {}}


def test_a_yaml_list_gets_and_loses_an_item():
    before = "name: a\nmcpServers:\n- name: x # keep\n  url: u\n# end\nz: 1\n"
    path = ("mcpServers", Item("name", "ours"))
    after = edit.put("yaml", before, path, {"name": "ours", "requestOptions": {"headers": {"A": "b"}}})
    assert edit.load("yaml", after)["mcpServers"][1]["requestOptions"] == {"headers": {"A": "b"}}
    assert edit.drop("yaml", after, path) == before


def test_a_value_that_an_alias_shares_is_not_changed():
    text = "extensions:\n  a: &one\n    url: u\n  ours: *one\n"
    with pytest.raises(NotEditable):
        edit.put("yaml", text, ("extensions", "ours", "url"), "v")
