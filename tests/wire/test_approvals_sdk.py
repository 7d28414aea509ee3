"""Approvals with the official Python client, in both eras: a form, a page, and no way to ask at all."""

import re
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from support.orders import notes, shop
from support.ward import Ward

ERAS = ("legacy", "2026-07-28")


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    with shop(tmp_path_factory.mktemp("sdk")) as ward:
        yield ward


@asynccontextmanager
async def client(ward: Ward, mode: Any, **more: Any):
    headers = {"authorization": f"Bearer {ward.key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        transport = streamable_http_client(f"{ward.base}/mcp", http_client=http)
        async with Client(transport, mode=mode, read_timeout_seconds=30, **more) as opened:
            yield opened


def text(result: Any) -> str:
    return str(result.content[0].text)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_person_is_asked_by_the_clients_form_and_a_yes_runs_it_once(ward, mode):
    asked: list[str] = []
    answers = [True, False]

    async def agree(_context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"confirm": answers.pop(0)})

    arguments = {"order_id": f"form {mode}", "total": 12.5}
    async with client(ward, mode, elicitation_callback=agree) as opened:
        assert text(await opened.call_tool("cancel_order", arguments)) == f"cancelled form {mode}"
        refused = await opened.call_tool("cancel_order", arguments)
        assert refused.is_error
        assert "the person declined" in text(refused)
    assert [question.partition("\n")[0] for question in asked] == [f'Cancel order "form {mode}" of 12.5?'] * 2
    assert notes(ward).count(f"cancelled form {mode}") == 1


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_that_cannot_ask_repeats_the_call_once_it_is_approved(ward, mode):
    arguments = {"order_id": f"elsewhere {mode}", "total": 12.5}
    async with client(ward, mode) as opened:
        refused = await opened.call_tool("cancel_order", arguments)
        found = re.search(r"mcpward approve call ([0-9A-Za-z]{12})", text(refused))
        assert found is not None
        ward.cli("approve", "call", found[1], "--yes")
        assert text(await opened.call_tool("cancel_order", arguments)) == f"cancelled elsewhere {mode}"
        assert (await opened.call_tool("cancel_order", arguments)).is_error
    assert notes(ward).count(f"cancelled elsewhere {mode}") == 1
