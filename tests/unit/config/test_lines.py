import tomllib

from hypothesis import given
from hypothesis import strategies as st

from mcpward.config.lines import key_lines, line_of

TEXT = '''# a comment [not.a.table]
title = "x = [1, 2"

[site]
trusted_proxies = [  # with a ] in a comment
  "10.0.0.0/8",
  "a]b",
]
listen = "127.0.0.1:1"  # end
long = """
[fake]
key = 1
"""
raw = \'\'\'
[fake2]
\'\'\'
inline = { a = 1, b = [1, { c = 2 }] }

[servers."my.name"]
source = 'a'
limits.read = "1/s"
  [servers.b.limits]
  write = "x"
[[list]]
k = 1
'''


def test_each_key_has_its_line():
    tomllib.loads(TEXT)
    lines = key_lines(TEXT)
    assert lines["title",] == 2
    assert lines["site",] == 4
    assert lines["site", "trusted_proxies"] == 5
    assert lines["site", "listen"] == 9
    assert lines["site", "long"] == 10
    assert lines["site", "raw"] == 14
    assert lines["site", "inline"] == 17
    assert lines["servers", "my.name"] == 19
    assert lines["servers", "my.name", "limits", "read"] == 21
    assert lines["servers", "b", "limits", "write"] == 23
    assert lines["list", "k"] == 25
    assert not any(path[-1].startswith("fake") or path[0].startswith("fake") for path in lines)


def test_a_key_without_a_line_has_that_of_its_table():
    lines = key_lines(TEXT)
    assert line_of(lines, ("site", "inline", "a")) == 17
    assert line_of(lines, ("servers", "b", "limits", "read")) == 22
    assert line_of(lines, ("nowhere", "x")) is None


@given(st.text(alphabet="[]{}=\"'\\\n#ab. ,", max_size=80))
def test_no_text_stops_it(text):
    assert all(1 <= number <= text.count("\n") + 1 for number in key_lines(text).values())
