"""Calls for nothing, and budgets emptied by calls that never ran.

Sources: CWE-770 (no limit on what is used), CWE-841 (a workflow left half way), OWASP API4:2023.
"""

import pytest

from support.talk import Line, Talker, notes, prepare, result_of
from support.wire import reason_of

MORE = '''
from mcpward import Elicit


@server.tool(read_only=True, budgets=["stripe"])
async def pay_and_ask(ctx: Context) -> str:
    """Do something that costs, and ask more than may be asked."""
    note("paid")
    await ctx.ask(**{f"n{number}": Elicit("Who?", Name) for number in range(33)})
    return "asked"


@server.tool(destructive=True, confirm=True, budgets=["card"])
async def refund(what: str) -> str:
    """Give money back, when a person says yes."""
    note(f"refunded {what}")
    return "refunded"


@server.tool(read_only=True, budgets={"words": lambda given: len(given["texts"]) // given["by"]})
async def count(texts: list[str], by: int) -> int:
    """Cost what the author did not think of."""
    note("counted")
    return len(texts)
'''
TOML = """
[budgets.stripe]
quota = "5/month"
[budgets.card]
quota = "5/month"
[budgets.words]
quota = "5/month"
"""


@pytest.fixture
def till(site):
    with site(toml=TOML, servers="", start=False) as ward:
        prepare(ward, "talk")
        tools = ward.folder / "talk.py"
        tools.write_text(tools.read_text() + MORE)
        yield ward


def test_who_keeps_questions_open_has_no_call_for_nothing(till):
    key = till.create_key("talk", name="alice")
    till.start()
    with Line(till, key) as line:
        alice = Talker(till, key)
        for _ in range(12):
            answer = alice.send(line, "tools/call", {"name": "pay_and_ask", "arguments": {}})
            assert reason_of(answer) in {"rate-exceeded", "busy"}
    assert notes(till) == ["paid"] * 5


def test_calls_that_no_person_agreed_to_empty_no_budget(till):
    key = till.create_key("talk", name="alice", **{"class": "destructive"})
    till.start()
    with Line(till, key) as line:
        for number in range(12):
            arguments = {"name": "refund", "arguments": {"what": str(number)}}
            unable = line.modern("tools/call", arguments, capabilities={})
            assert reason_of(unable) == "consent-missing"
            asked = result_of(line.modern("tools/call", arguments))
            (question,) = asked["inputRequests"]
            again = {"inputResponses": {question: {"action": "decline"}}, "requestState": asked["requestState"]}
            assert reason_of(line.modern("tools/call", arguments | again)) == "consent-missing"
    assert notes(till) == []
    with Line(till, key) as line:
        asked = result_of(line.modern("tools/call", arguments))
        (question,) = asked["inputRequests"]
        yes = {"action": "accept", "content": {"confirm": True}}
        again = {"inputResponses": {question: yes}, "requestState": asked["requestState"]}
        assert "refunded" in line.modern("tools/call", arguments | again).text


@pytest.mark.parametrize("wrong", [{"texts": ["x"], "by": 0}, {"texts": ["x"] * 6, "by": 1}, {"texts": 1, "by": 1}])
def test_calls_without_a_price_are_paid_for_by_their_caller(till, wrong):
    config = till.folder / "mcpward.toml"
    config.write_text(config.read_text().replace('read = "100000/minute"', 'read = "7/hour"'))
    key = till.create_key("talk", name="alice")
    till.start()
    with Line(till, key) as line:
        said = [line.modern("tools/call", {"name": "count", "arguments": wrong}) for _ in range(12)]
        assert [reason_of(each) == "rate-exceeded" for each in said] == [False] * 7 + [True] * 5
    assert notes(till) == []
