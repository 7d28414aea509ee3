"""docs/secrets.md: its tools call an API and run a program, as they are written there."""

import re
from typing import Any

import pytest

from mcpward.testing import client
from support.matches import found
from support.outside import http, outside
from support.sources import ROOT

PAGE = (ROOT / "docs" / "secrets.md").read_text(encoding="utf-8")
API = found(r"## Calling an API\n.*?```python\n(.*?)```", PAGE, re.DOTALL)[1]
PROGRAM = found(r"## Running a program\n.*?```python\n(.*?)```", PAGE, re.DOTALL)[1]
KEY = "sk_test_canary_0815"


async def stripe(request: bytes, writer: Any) -> None:
    """Answer as the API does."""
    if request.startswith(b"GET /v1/balance "):
        writer.write(http(b'{"available": [{"currency": "eur", "amount": 1999}]}'))
    elif b"charge=ch_1&amount=500" in request:
        writer.write(http(b'{"id": "re_1"}'))
    else:
        writer.write(http(b'{"error": {}}', status=400 if b"ch_2" in request else 500))
    await writer.drain()


async def test_the_tools_of_the_page_call_the_api_with_the_key(tmp_path):
    async with outside(stripe) as there:
        (tmp_path / "tools.py").write_text(API.replace("https://api.stripe.com", there.url("")))
        settings = {"egress.allow": ["127.0.0.0/8"], "servers.tools.http.hosts": [f"127.0.0.1:{there.port}"]}
        async with client(tmp_path / "tools.py", secrets={"STRIPE_KEY": KEY}, settings=settings, name="tools") as shop:
            assert (await shop.call("balance")).value == {"eur": 1999}
            assert (await shop.call("refund", charge="ch_1", cents=500)).text == "re_1"
            assert (await shop.call("refund", charge="ch_2", cents=5)).text == "this charge cannot be paid back"
            failed = await shop.call("refund", charge="ch_3", cents=5)
        assert f"Authorization: Bearer {KEY}".lower().encode() in there.requests[0].lower()
    assert failed.reason == "tool-failed"
    assert f"HttpStatusError: 127.0.0.1:{there.port} answered 500" in failed.detail
    assert KEY not in failed.detail


async def test_the_log_under_the_error_id_has_the_host_and_the_reason(tmp_path):
    (tmp_path / "tools.py").write_text(API)
    settings = {"servers.tools.http.hosts": ["api.example.com"]}
    async with client(tmp_path / "tools.py", secrets={"STRIPE_KEY": KEY}, settings=settings, name="tools") as shop:
        failed = await shop.call("balance")
    assert failed.detail.splitlines()[-2:] == [
        "mcpward.sdk.http.errors.HttpRefused: this server's tools may not call api.stripe.com",
        "hint: the operator adds it to hosts in [servers.<name>.http]",
    ]
    assert "v1" not in failed.detail.splitlines()[-2]


async def test_the_program_of_the_page_gets_the_secret_in_its_environment(tmp_path, monkeypatch):
    psql = tmp_path / "psql"
    psql.write_text('#!/bin/sh\nprintf "%s\\n" "$@" "${#PGPASSWORD}" "$SHOP_TOKEN"\n')
    psql.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SHOP_TOKEN", "canary")
    (tmp_path / "tools.py").write_text(API.partition("\nSTRIPE")[0] + "\n\n" + PROGRAM)
    async with client(tmp_path / "tools.py", secrets={"PGPASSWORD": KEY}) as shop:
        tables = await shop.call("tables")
    assert tables.value == ["-At", "-c", r"\dt", "shop", str(len(KEY)), ""]


@pytest.mark.parametrize("word", ["host-not-allowed", "secret-bound", "not-json", "status", "plain-refused"])
def test_the_words_of_the_page_are_those_of_the_code(word):
    sources = "".join(
        file.read_text() for room in ("egress", "sdk/http") for file in (ROOT / "src/mcpward" / room).glob("*.py")
    )
    assert f'"{word}"' in sources
    assert f"`{word}`" in PAGE
