"""Whatever setting is wrong, and wherever it was set: its name stands in the message once, with words of our own."""

import json
from typing import Any

import pytest

from mcpward.cli import ui
from mcpward.config.environ import variable_of
from mcpward.config.load import read
from mcpward.config.schema_paths import ANY_NAME, every_key
from mcpward.core.errors import Misconfigured
from support.wording import doubled, is_foreign

WRONG: tuple[Any, ...] = (
    -1,
    0,
    10**12,
    1.5,
    "",
    "no value",
    "-1",
    [],
    ["no value"],
    [1],
    {"no": "value"},
    True,
    float("nan"),
)
KEYS = [key for key in every_key() if ANY_NAME not in key.path[-1:]]


def told(**layers):
    try:
        read(layers.get("file"), layers.get("env", {}), layers.get("flags", {}))
    except Misconfigured as wrong:
        return [ui.words_of(finding) for finding in wrong.findings]
    return []


def toml(value):
    return str(value) if isinstance(value, float) else json.dumps(value)


def line(value):
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {toml(one)}' for name, one in value.items())} }}"
    return toml(value)


def require_plain(messages):
    for what, hint in messages:
        for text in (what, hint):
            assert not is_foreign(text), text
            assert not doubled(text), text


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.dotted)
def test_a_wrong_setting_is_named_once_and_in_our_words(tmp_path, key):
    *tables, last = [part if part != ANY_NAME else "one" for part in key.path]
    file = tmp_path / "mcpward.toml"
    source = '[servers.one]\nsource = "tools.py"\n'
    heads = [] if tables == ["servers", "one"] else [f"[{'.'.join(tables)}]"]
    refused = 0
    for value in WRONG:
        file.write_text(
            f"{source if last != 'source' else '[servers.one]'}\n" + "\n".join([*heads, f"{last} = {line(value)}"])
        )
        in_file = told(file=file)
        require_plain(in_file)
        refused += bool(in_file)
        variable = variable_of(key).replace(ANY_NAME.upper(), "ONE")
        in_environment = told(env={variable: line(value), "MCPWARD_SERVERS__ONE__SOURCE": "tools.py"})
        require_plain(in_environment)
        refused += bool(in_environment)
    assert refused


def test_a_variable_is_the_name_of_its_setting():
    assert told(env={"MCPWARD_SITE__WORKERS": "0"}) == [
        ("MCPWARD_SITE__WORKERS: must be at least 1", "for example: MCPWARD_SITE__WORKERS=2")
    ]
    ((what, hint),) = told(env={"MCPWARD_SITE__TRUSTED_PROXIES": "proxy"})
    assert what.startswith("MCPWARD_SITE__TRUSTED_PROXIES: write a network as")
    assert hint == "for example: MCPWARD_SITE__TRUSTED_PROXIES=127.0.0.1/32,::1/128"


def test_a_mode_that_is_none_is_hinted_to_the_default_and_told_what_public_means(tmp_path):
    file = tmp_path / "mcpward.toml"
    file.write_text('[servers.one]\nsource = "tools.py"\nmode = "open"\n')
    ((what, hint),) = told(file=file)
    assert 'servers.one.mode: must be "api-key", "oauth", "unlisted", "public"' in what
    assert hint.startswith('for example: mode = "api-key" (the default; "public" needs no key')
    file.write_text('[servers.one]\nmode = "open"\n')
    assert any('mode = "api-key"' in hint for _, hint in told(file=file))
