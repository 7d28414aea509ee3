import pickle
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpward.config.address import Address
from mcpward.config.counters import read_counters, read_counters_url
from mcpward.config.load import load, read
from mcpward.config.show import shown
from mcpward.core.errors import Misconfigured


def test_a_url_has_all_its_parts():
    url = read_counters_url("rediss://house:a%40b%2Fc@redis.example.com:7000/3")
    assert url.nodes == (Address("redis.example.com", 7000),)
    assert (url.user, url.password.reveal(), url.database, url.is_tls) == ("house", "a@b/c", 3, True)


@pytest.mark.parametrize(
    "text,nodes",
    [
        ("redis://h", [("h", 6379)]),
        ("redis://h:1,[::1]:2,10.0.0.1", [("h", 1), ("::1", 2), ("10.0.0.1", 6379)]),
        ("redis://:p@[fd00::2]/0", [("fd00::2", 6379)]),
    ],
)
def test_nodes_have_a_port_of_their_own_or_the_usual_one(text, nodes):
    assert [(node.host, node.port) for node in read_counters_url(text).nodes] == nodes


@pytest.mark.parametrize("text", ["memory", "env:REDIS_URL"])
def test_what_is_no_url_yet_is_none(text):
    assert read_counters(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "", "Memory", "redis", "redis://", "redis:/h", "http://pw@h", "unix:///pw", "redis+sentinel://pw", "env:",
        "env:9pw", "env:p w", "redis://h#pw", "redis://h?password=pw", "redis://pw@u@h", "redis://:p/w@h", "redis://h/pw",
        "redis://h/-1", "redis://h/99999", "redis://h:0", "redis://h:65536", "redis://h:pw", "redis://h,", "redis://,h",
        "redis://h,pw@i", "redis://h/1/2", "redis://a,b/1", "redis://p w@h", "redis://pw\n@h", "redis://ü:pw@h",
        "redis://[::1", "redis://::1", "redis://-pw-", "REDIS://pw@h", "redis://" + ",".join("pw" for _ in range(33)),
        "redis://pw@h", "rediss://pw@redis.example.com", "redis://pw:@h",
    ],
)  # fmt: skip
def test_nothing_else_is_taken_and_no_message_quotes_it(text):
    with pytest.raises(ValueError) as wrong:
        read_counters(text)
    assert "pw" not in str(wrong.value)
    with pytest.raises(Misconfigured) as told:
        load(None, {}, {"limits.counters": text})
    assert "pw" not in repr([(one.what, one.hint) for one in told.value.findings])


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    for said in (text, f"redis://{text}", f"rediss://:{text}@h"):
        with suppress(ValueError):
            read_counters(said)


def test_the_url_is_masked_wherever_settings_are_shown(tmp_path):
    secret = "kx93-hidden"
    (tmp_path / "mcpward.toml").write_text(f'[limits]\ncounters = "redis://u:{secret}@127.0.0.1:7,127.0.0.2/0"\n')
    loaded = read(tmp_path / "mcpward.toml", {}, {})
    row = next(row for row in shown(loaded) if row.key == "limits.counters")
    assert (row.value, row.text) == ("redis://***@127.0.0.1:7,127.0.0.2/0", '"redis://***@127.0.0.1:7,127.0.0.2/0"')
    settings = loaded.settings
    assert secret not in repr(settings) + str(settings.limits) + str(settings.model_dump()) + settings.model_dump_json()
    assert pickle.loads(pickle.dumps(settings)).limits.counters.count(secret) == 1  # a worker needs it
