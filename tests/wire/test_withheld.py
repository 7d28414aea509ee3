"""A result that is withheld: the model learns what it can do, the operator why, and no one a value (attack 85)."""

import json
import re
from collections.abc import Iterator

import pytest

from support.ward import LAVISH, Ward, serving
from support.wire import until

CANARY = "canary-4eC39HqLyjWDarjtT1zdp7dc"
TOOLS = f"""
import math
from pathlib import PurePosixPath
from typing import Annotated, Any
from pydantic import BaseModel, PlainSerializer
from mcpward import Server, ToolResult

server = Server("withheld")


class Priced(BaseModel):
    price: float
    line2: str = ""


@server.tool(read_only=True)
def of_type() -> Priced:
    return {{"price": "{CANARY}"}}


@server.tool(read_only=True)
def changed() -> Priced:
    return Priced.model_construct(price=1, line2=["{CANARY}"])


@server.tool(read_only=True)
def no_number() -> dict[str, float]:
    return {{"{CANARY}": math.nan}}


@server.tool(read_only=True)
def no_json() -> dict:
    return {{"{CANARY}": [0, {{"file": PurePosixPath("/{CANARY}")}}]}}


@server.tool(read_only=True)
def broken() -> Annotated[str, PlainSerializer(lambda value: 1 / 0)]:
    return "{CANARY}"


@server.tool(read_only=True)
def by_hand() -> ToolResult:
    return ToolResult("{CANARY}", structured=[1])


@server.tool(read_only=True)
def large(size: int) -> str:
    return "y" * size


@server.resource("withheld://number")
def number() -> dict[str, float]:
    return {{"rate": math.inf}}


@server.resource("withheld://text")
def text() -> str:
    return "a \\ud83d b\\u2028c"
"""
SERVERS = f"""
[servers.demo]
source = "withheld.py"
mode = "public"
[servers.demo.limits]
{LAVISH}
[output]
max_bytes = "4 KiB"
"""
DECLARED = "it does not match the tool's declared return type"
UNFIT = "the result does not match the tool's declaration"
WHY = {
    "of_type": f"{UNFIT}: price: wanted a valid number, found str",
    "changed": f"{UNFIT}: line2: does not fit the output schema (type string), found a list",
    "no_number": f"{UNFIT}: *: not a finite number",
    "no_json": f"{UNFIT}: *.1.file: PurePosixPath is not serializable",
    "broken": f"{UNFIT}: not serializable: PydanticSerializationError",
    "by_hand": "structured content is an object, and this is list",
}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    folder = tmp_path_factory.mktemp("withheld")
    (folder / "withheld.py").write_text(TOOLS)
    with serving(folder, servers=SERVERS) as ward:
        yield ward


def error_id(text: str) -> str:
    return text.rpartition("(error ")[2].rstrip(")")


@pytest.mark.parametrize("tool", WHY)
def test_what_does_not_fit_names_path_and_rule_to_the_operator_alone(ward: Ward, tool: str):
    result = ward.call(tool).json()["result"]
    told = result["content"][0]["text"]
    assert result["isError"]
    assert told.startswith(f"the tool's answer was withheld: {DECLARED}: ")
    known = error_id(told)
    (row,) = until(lambda: [row for row in ward.records("--tool", tool) if row["error_id"] == known])
    detail, _, where = row["detail"].rpartition(" (")
    assert (row["reason"], detail) == ("output-refused", WHY[tool])
    assert re.fullmatch(r"withheld\.py:\d+\)", where)
    (line,) = [json.loads(line) for line in ward.log().splitlines() if known in line]
    assert line["detail"] == f"demo: tools/call {tool}: {row['detail']}"
    everything = json.dumps(result) + ward.log() + ward.cli("log", "--json").stdout + ward.cli("log").stdout
    assert CANARY not in everything


def test_what_is_too_large_names_size_and_limit_and_tells_the_model_to_ask_for_less(ward: Ward):
    result = ward.call("large", {"size": 9000}).json()["result"]
    told = result["content"][0]["text"]
    assert told.startswith("the tool's answer was withheld: it is too large: ask for less (error ")
    (row,) = until(lambda: [row for row in ward.records("--tool", "large") if row["error_id"] == error_id(told)])
    assert row["detail"] == "the result has 9000 characters, output.max_bytes is 4096"
    assert "output.max_bytes is 4096" in ward.log()


def test_what_was_dropped_stays_on_record_beside_why_the_result_was_withheld(ward: Ward):
    result = ward.call("large", {"size": 9001, "toolCallId": "1"}).json()["result"]
    known = error_id(result["content"][0]["text"])
    (row,) = until(lambda: [row for row in ward.records("--tool", "large") if row["error_id"] == known])
    assert row["detail"] == "dropped toolCallId; the result has 9001 characters, output.max_bytes is 4096"


def test_the_copy_as_text_is_not_counted(ward: Ward):
    fits = 4096 - len('{"result":""}') - len("{}")
    assert not ward.call("large", {"size": fits}).json()["result"]["isError"]
    assert ward.call("large", {"size": fits + 1}).json()["result"]["isError"]


def test_a_resource_is_withheld_alike_and_half_a_character_harms_none(ward: Ward):
    answer = ward.modern("resources/read", {"uri": "withheld://number"}, name="withheld://number")
    error = answer.json()["error"]
    assert error["data"]["reason"] == "output-refused"
    assert error["message"].startswith(f"the tool's answer was withheld: {DECLARED}")
    assert "rate: not a finite number" in ward.log()
    answer = ward.modern("resources/read", {"uri": "withheld://text"}, name="withheld://text")
    assert b"\\u2028" in answer.content
    assert answer.json()["result"]["contents"][0]["text"] == "a \ufffd b\u2028c"
