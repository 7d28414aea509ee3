"""Questions besides forms: pages, the client's model, its roots. Exact requests, and strict answers."""

from base64 import b64encode

import pytest

from mcpward import Audio, ElicitUrl, Image, Message, Root, Roots, Sample, Text, ToolUse, ToolUsed
from mcpward.sdk.client.ask import Unfit
from mcpward.sdk.errors import AuthoringError

TOOL = {"name": "look", "description": "Look.", "inputSchema": {"type": "object"}}


def test_a_page_is_asked_for_by_its_url():
    question = ElicitUrl("Connect", "https://example.com/connect").question("k")
    assert question.params == {"mode": "url", "message": "Connect", "url": "https://example.com/connect"}
    assert (question.method, question.capability) == ("elicitation/create", {"elicitation": {"url": {}}})
    assert ElicitUrl("Connect", "http://localhost:8000/x").read({"action": "accept", "content": {"a": 1}}).data is None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "javascript:alert(1)", "file:///etc/passwd", "https://", "https://user:pass@example.com/",
        "https://example.com/\n", "https://exämple.com/", "https://example.com/ x", "https://example.com/" + "x" * 3000,
        "//example.com", "", "https://[", "http://localhost.example.com/",
    ],
)  # fmt: skip
def test_a_page_that_is_not_safe_to_open_is_not_asked_for(url):
    with pytest.raises(ValueError):
        ElicitUrl("Connect", url)


def test_the_model_is_asked_in_the_specifications_shape():
    question = Sample("Hello", max_tokens=100).question("k")
    assert question.method == "sampling/createMessage"
    assert question.capability == {"sampling": {}}
    assert question.params == {
        "messages": [{"role": "user", "content": {"type": "text", "text": "Hello"}}],
        "maxTokens": 100,
    }


def test_everything_that_can_be_said_of_a_sample_is_sent():
    sample = Sample(
        ["Hello", Message(Image(b"x"), role="assistant"), Message([ToolUsed("1", "done")])],
        max_tokens=1, system="s", temperature=0.5, stop=["\n"], models=["small"], tools=[TOOL], tool_choice="auto",
    )  # fmt: skip
    question = sample.question("k")
    assert question.capability == {"sampling": {"tools": {}}}
    messages = question.params["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == {"type": "image", "data": "eA==", "mimeType": "image/png"}
    assert messages[2]["content"] == [
        {"type": "tool_result", "toolUseId": "1", "content": [{"type": "text", "text": "done"}], "isError": False}
    ]
    assert {name: value for name, value in question.params.items() if name not in ("messages", "maxTokens")} == {
        "systemPrompt": "s", "temperature": 0.5, "stopSequences": ["\n"], "tools": [TOOL],
        "modelPreferences": {"hints": [{"name": "small"}]}, "toolChoice": {"mode": "auto"},
    }  # fmt: skip


@pytest.mark.parametrize("max_tokens", [0, -1, True, 1.5, "1"])
def test_an_answer_has_a_bound(max_tokens):
    with pytest.raises(AuthoringError):
        Sample("x", max_tokens=max_tokens)


def test_a_message_is_content():
    with pytest.raises(AuthoringError, match="dict"):
        Sample([{"role": "user"}], max_tokens=1)  # type: ignore[list-item]  # that is the mistake


def said(content, **more):
    return {"role": "assistant", "model": "m", "content": content} | more


def test_what_the_model_said_is_read():
    blocks = [
        {"type": "text", "text": "a", "annotations": {}},
        {"type": "image", "data": b64encode(b"i").decode(), "mimeType": "image/png"},
        {"type": "audio", "data": b64encode(b"w").decode(), "mimeType": "audio/wav"},
        {"type": "text", "text": "b"},
    ]
    answer = Sample("x", max_tokens=1).read(said(blocks, stopReason="endTurn"))
    assert answer.content == (Text("a"), Image(b"i", "image/png"), Audio(b"w", "audio/wav"), Text("b"))
    assert (answer.text, answer.model, answer.role, answer.stop_reason) == ("a\nb", "m", "assistant", "endTurn")
    assert Sample("x", max_tokens=1).read(said({"type": "text", "text": "a"})).text == "a"


USE = {"type": "tool_use", "id": "1", "name": "look", "input": {"a": 1}}


def test_a_tool_is_used_only_where_one_was_offered():
    assert Sample("x", max_tokens=1, tools=[TOOL]).read(said([USE])).content == (ToolUse("1", "look", {"a": 1}),)
    with pytest.raises(Unfit):
        Sample("x", max_tokens=1).read(said([USE]))


@pytest.mark.parametrize(
    "result",
    [
        None, 5, {}, said(None), said("canary"), said({"type": "canary"}), said({"type": "text", "text": 5}),
        said([{"type": "text", "text": "a"}] * 65), said({"type": "image", "data": "canary!", "mimeType": "image/png"}),
        said({"type": "image", "data": "eA==", "mimeType": "text/html"}), said({"type": "text"}, role="canary"),
        said({"type": "text", "text": "a"}, model="m" * 300), said({"type": "text", "text": "a"}, model=None),
        said({"type": "tool_result", "toolUseId": "1", "content": []}), said({"type": "resource", "resource": {}}),
    ],
)  # fmt: skip
def test_any_other_answer_of_the_model_is_refused_and_not_quoted(result):
    with pytest.raises(Unfit) as unfit:
        Sample("x", max_tokens=1).read(result)
    assert "canary" not in str(unfit.value)


def test_roots_are_asked_for_and_read():
    question = Roots().question("k")
    assert (question.method, question.params, question.capability) == ("roots/list", {}, {"roots": {}})
    answer = Roots().read({"roots": [{"uri": "file:///a", "name": "A"}, {"uri": "file:///b"}]})
    assert answer == [Root("file:///a", "A"), Root("file:///b")]


@pytest.mark.parametrize(
    "result",
    [
        None, {}, {"roots": None}, {"roots": [5]}, {"roots": [{}]}, {"roots": [{"uri": "https://canary"}]},
        {"roots": [{"uri": "file:///" + "a" * 5000}]}, {"roots": [{"uri": "file:///a"}] * 257},
        {"roots": [{"uri": "file:///a", "name": "n" * 300}]},
    ],
)  # fmt: skip
def test_other_roots_are_refused(result):
    with pytest.raises(Unfit) as unfit:
        Roots().read(result)
    assert "canary" not in str(unfit.value)
