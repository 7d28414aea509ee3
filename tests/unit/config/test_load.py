import pickle  # as multiprocessing does when it starts a worker
from pathlib import Path

import pytest

from mcpward.config.address import AddressPart
from mcpward.config.endpoint import paths_of
from mcpward.config.load import load, read, server_names
from mcpward.core.errors import Misconfigured


def write(folder: Path, text: str) -> Path:
    path = folder / "mcpward.toml"
    path.write_text(text)
    return path


def findings(path, env=None, overrides=None):
    with pytest.raises(Misconfigured) as caught:
        load(path, env or {}, overrides)
    return caught.value.findings


def test_without_anything_it_is_closed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(None, {})
    assert settings.site.address.is_loopback
    assert settings.servers == {}
    assert settings.store.url == f"sqlite:///{tmp_path}/.mcpward/mcpward.db"
    assert load(None, {}, {"servers.a.source": "tools.py"}).servers["a"].mode == "api-key"


def test_later_layers_win(tmp_path):
    path = write(tmp_path, '[site]\nlisten = "127.0.0.1:1"\nworkers = 2\ndrain_s = 5\n')
    env = {"MCPWARD_SITE__WORKERS": "3", "MCPWARD_SITE__LISTEN": "127.0.0.1:2"}
    loaded = read(path, env, {"site.listen": "127.0.0.1:3"})
    site = loaded.settings.site
    assert (site.listen, site.workers, site.drain_s) == ("127.0.0.1:3", 3, 5.0)
    layers = {key: origin.layer for key, origin in loaded.origins.items()}
    assert layers == {"site.listen": "flag", "site.workers": "env", "site.drain_s": "file"}
    assert loaded.origins["site.drain_s"].where == f"{path}:4"


def test_every_problem_is_told_at_once_with_line_and_spelling(tmp_path):
    path = write(
        tmp_path,
        """[site]
lisen = "127.0.0.1:1"
workers = "2"
[srvers.a]
source = "x"
[servers.orders]
source = "tools.py"
mode = "oath"
hosts = "one"
[servers.orders.limits]
raed = "1/minute"
write = "1/fortnight"
[servers.bare]
[servers.Bad_Name]
source = "x.py"
""",
    )
    found = {(Path(f.where).name, f.what): f.hint for f in findings(path, {"MCPWARD_HTTP__MAX_BODI": "1"})}
    assert found["mcpward.toml:2", "unknown key 'site.lisen'"] == "did you mean 'listen'?"
    assert found["mcpward.toml:4", "unknown key 'srvers'"] == "did you mean 'servers'?"
    assert found["mcpward.toml:11", "unknown key 'servers.orders.limits.raed'"] == "did you mean 'read'?"
    assert found["MCPWARD_HTTP__MAX_BODI", "unknown key 'http.max_bodi'"] == "did you mean 'max_body'?"
    lines = {place for place, _ in found}
    assert {f"mcpward.toml:{n}" for n in (2, 3, 4, 8, 9, 11, 12, 13, 14)} <= lines
    assert len(found) == 10


def test_a_broken_rule_is_told_beside_a_wrong_key(tmp_path):
    path = write(tmp_path, '[site]\nlisten = "0.0.0.0:1"\npublic_url = "https://a.example"\n[http]\nnonsense = 1\n')
    whats = [finding.what for finding in findings(path)]
    assert whats[0] == "unknown key 'http.nonsense'"
    assert "in clear" in whats[1]


def test_a_misspelt_key_is_not_reported_as_missing_too(tmp_path):
    path = write(tmp_path, '[site]\nlisten = "10.0.0.1:1"\nbehind_tls_prox = true\n')
    assert [finding.what for finding in findings(path)] == ["unknown key 'site.behind_tls_prox'"]


@pytest.mark.parametrize(
    "text",
    [
        "[site",
        "a = 1\na = 2\n",
        "a = \n",
        '[site]\nlisten = "\x01"\n',
        "x = " + "[" * 5000,
        "[site]\n[site]\n",
        "x = 'a\n",
    ],
)
def test_what_is_not_toml_is_one_finding(tmp_path, text):
    (finding,) = findings(write(tmp_path, text))
    assert finding.what.startswith("not valid TOML: ")


@pytest.mark.parametrize("content", [b"\xff\xfe[\x00", b"\x80", b"#" * (2**20 + 1)])
def test_a_file_that_is_no_text_is_refused(tmp_path, content):
    path = tmp_path / "mcpward.toml"
    path.write_bytes(content)
    assert len(findings(path)) == 1


def test_a_missing_file_is_refused(tmp_path):
    (finding,) = findings(tmp_path / "no.toml")
    assert finding.what == "the configuration file cannot be read"


def test_paths_in_the_file_start_from_its_folder(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    write(tmp_path / "etc", '[site]\ndata = "d"\n[store]\nurl = "sqlite:///x.db"\n[servers.a]\nsource = "t.py"\n')
    monkeypatch.chdir(tmp_path)
    settings = load(Path("etc/mcpward.toml"), {}, {"servers.b.source": "t.py", "servers.c.source": "pkg.mod:server"})
    assert settings.site.data == tmp_path / "etc" / "d"
    assert settings.store.url == f"sqlite:///{tmp_path}/etc/x.db"
    assert settings.servers["a"].source == str(tmp_path / "etc" / "t.py")
    assert settings.servers["b"].source == str(tmp_path / "t.py")
    assert settings.servers["c"].source == "pkg.mod:server"


def test_the_default_database_follows_the_data_folder(tmp_path):
    settings = load(write(tmp_path, '[site]\ndata = "d"\n'), {})
    assert settings.store.url == f"sqlite:///{tmp_path}/d/mcpward.db"


def test_one_server_can_be_served_alone(tmp_path):
    path = write(tmp_path, '[servers.a]\nsource = "a.py"\n[servers.b]\nsource = "b.py"\nmode = "public"\n')
    assert set(read(path, {}, {}, only="a").settings.servers) == {"a"}


@pytest.mark.parametrize(
    "text",
    [
        'workers = "2"',
        "workers = true",
        "workers = 0",
        "drain_s = nan",
        "drain_s = inf",
        "workers = 1.0",
        "behind_tls_proxy = 1",
        "listen = 8000",
        "allowed_hosts = [1]",
        'allowed_hosts = ["*"]',
        'trusted_proxies = ["10.0.0.1/8"]',
        'data = ""',
        'public_url = ""',
        "drain_s = -1",
    ],
)
def test_nothing_is_coerced(tmp_path, text):
    (finding,) = findings(write(tmp_path, f"[site]\n{text}\n"))
    assert finding.where.endswith(":2")
    assert finding.what.startswith(f"site.{text.split()[0]}")


def test_settings_are_frozen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load(None, {})
    with pytest.raises(ValueError, match="frozen"):
        settings.site.workers = 2  # type: ignore[misc]  # it is read-only: that is what is tested


DEFAULT = '[site]\ndefault_server = "a"\n'
SEVERAL = '[servers.a]\nsource = "m:a"\n[servers.b]\nsource = "m:b"\n'


@pytest.mark.parametrize(
    "text,only,flags,has_short",
    [
        (SEVERAL, None, {}, False),
        (SEVERAL, "a", {}, False),
        (SEVERAL, "a", {"servers.a.mode": "public"}, False),
        ('[servers.a]\nsource = "m:a"\n', "a", {}, True),
        ('[servers.b]\nsource = "m:b"\n', "a", {"servers.a.source": "m:a"}, True),
        (SEVERAL, "c", {"servers.c.source": "m:c"}, True),
        (DEFAULT + SEVERAL, None, {}, True),
        (DEFAULT + SEVERAL, "a", {}, True),
        (DEFAULT + SEVERAL, "b", {}, False),
        (DEFAULT + SEVERAL, "c", {"servers.c.source": "m:c"}, True),
    ],
)
def test_a_server_that_is_served_alone_keeps_its_urls(tmp_path, text, only, flags, has_short):
    settings = read(write(tmp_path, text), {}, flags, only).settings
    served = only or "a"
    paths = (f"/{served}/mcp", "/mcp") if has_short else (f"/{served}/mcp",)
    assert paths_of(settings, served) == paths
    assert paths_of(pickle.loads(pickle.dumps(settings)), served) == paths


def test_a_default_server_that_is_not_there_is_told_though_another_one_is_served_alone(tmp_path):
    for only in ("a", None):
        with pytest.raises(Misconfigured) as caught:
            read(write(tmp_path, DEFAULT.replace('"a"', '"aa"') + SEVERAL), {}, {}, only)
        (finding,) = caught.value.findings
        assert finding.what == "site.default_server: there is no server aa"
        assert finding.where.endswith(":2")


WINDOWS = b"\xef\xbb\xbf[site]\r\nlisten = '127.0.0.1:9'\r\n[servers.a]\r\nsource = 'm:a'\r\nmdoe = 'public'\r\n"


def test_a_file_with_a_byte_order_mark_and_crlf_is_read_and_its_lines_are_counted(tmp_path):
    path = tmp_path / "mcpward.toml"
    path.write_bytes(WINDOWS.replace(b"mdoe", b"mode"))
    assert load(path, {}).site.listen == "127.0.0.1:9"
    assert server_names(path) == ("a",)
    path.write_bytes(WINDOWS)
    (finding,) = findings(path)
    assert finding.where.endswith(":5")


def test_a_file_in_utf_16_is_told_what_to_do(tmp_path):
    path = tmp_path / "mcpward.toml"
    path.write_text("[site]\n", encoding="utf-16")
    (finding,) = findings(path)
    assert "UTF-8" in finding.hint


@pytest.mark.parametrize(
    "host,port,listen",
    [(None, 9, "10.0.0.1:9"), ("127.0.0.1", None, "127.0.0.1:8"), ("::1", 9, "[::1]:9"), ("[::1]", None, "[::1]:8")],
)
def test_a_flag_may_name_the_host_or_the_port_alone(tmp_path, host, port, listen):
    path = write(tmp_path, '[site]\nlisten = "10.0.0.1:8"\nbehind_tls_proxy = true\ntrusted_proxies = ["10.0.0.2"]\n')
    assert load(path, {}, {"site.listen": AddressPart(host=host, port=port)}).site.listen == listen


def test_a_host_alone_goes_over_the_default():
    assert load(None, {}, {"site.listen": AddressPart(port=9)}).site.listen == "127.0.0.1:9"
    assert (
        load(None, {"MCPWARD_SITE__LISTEN": "127.0.0.1:7"}, {"site.listen": AddressPart(host="::1")}).site.listen
        == "[::1]:7"
    )


def test_a_path_with_nul_or_an_unknown_home_is_no_crash(tmp_path):
    (told,) = findings(write(tmp_path, '[site]\ndata = "a\\u0000b"\n'))
    assert told.what == "site.data: must not have a NUL"
    assert findings(write(tmp_path, '[store]\nurl = "sqlite:////a\\u0000b"\n'))
    settings = load(write(tmp_path, '[site]\ndata = "~nobody-of-that-name/x"\n'), {})
    assert settings.site.data == tmp_path / "~nobody-of-that-name" / "x"


def test_the_url_may_name_the_data_folder(tmp_path):
    settings = load(write(tmp_path, '[site]\ndata = "d"\n[store]\nurl = "sqlite:///<data>/other.db"\n'), {})
    assert settings.store.url == f"sqlite:///{tmp_path}/d/other.db"


def test_settings_can_be_sent_to_a_worker_process(tmp_path):
    settings = load(write(tmp_path, '[site]\ntrusted_proxies = ["10.0.0.0/8"]\n[servers.a]\nsource = "m:a"\n'), {})
    assert pickle.loads(pickle.dumps(settings)) == settings


@pytest.mark.parametrize("old, new", [("knocks", "auth_failures"), ("arrivals", "requests")])
def test_the_name_of_an_earlier_release_is_told_with_the_present_one(tmp_path, old, new):
    path = write(tmp_path, f'[limits]\n{old} = "5/minute"\n')
    hint = f"limits.{old} is now limits.{new}"
    [found] = findings(path)
    assert (found.where, found.what, found.hint) == (f"{path}:2", f"unknown key 'limits.{old}'", hint)
    [found] = findings(None, {f"MCPWARD_LIMITS__{old.upper()}": "5/minute"})
    assert (found.where, found.hint) == (f"MCPWARD_LIMITS__{old.upper()}", hint)
