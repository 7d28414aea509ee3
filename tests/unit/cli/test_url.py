import re


def test_a_rotated_url_stands_alone_on_stdout(cli, site):
    said = cli("url", "rotate", "--server", "notes")
    assert said.code == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:8123/notes/mcp/[0-9A-Za-z]{48}\n", said.out)
    assert said.out.strip() not in said.err


def test_the_only_unlisted_server_needs_no_name(cli, site):
    assert cli("url", "rotate", "--json").json["server"] == "notes"


def test_a_url_cannot_be_shown(cli, site):
    made = cli("url", "rotate").out.strip()
    said = cli("url", "show", "--server", "notes")
    assert (said.code, said.out) == (1, "")
    assert "only a hash of it is kept" in said.err
    assert "hint: create a new one: mcpward url rotate --server notes" in said.err
    assert made.rpartition("/")[2] not in said.err


def test_the_secret_is_not_kept(cli, site):
    secret = cli("url", "rotate").out.strip().rpartition("/")[2].encode()
    assert secret not in b"".join(path.read_bytes() for path in (site / ".mcpward").iterdir())


def test_an_old_url_lives_on_for_its_grace(cli, site):
    cli("url", "rotate")
    cli("url", "rotate", "--grace", "1h")
    urls = cli("url", "show", "--json").json["urls"]
    assert len(urls) == 2
    assert sorted(url["expires_at"] is None for url in urls) == [False, True]
    cli("url", "rotate", "--grace", "0")
    assert len(cli("url", "show", "--json").json["urls"]) == 1


def test_a_url_has_the_grace_of_a_key_where_none_is_given(cli, site):
    cli("url", "rotate")
    said = cli("url", "rotate")
    assert "all older ones end at" in said.err
    assert len(cli("url", "show", "--json").json["urls"]) == 2


def test_another_mode_has_no_url(cli, site):
    said = cli("url", "rotate", "--server", "orders")
    assert (said.code, said.out) == (2, "")
    assert "api-key" in said.err
