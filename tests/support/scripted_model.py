"""A language model that follows a script: the Messages and the Responses API on loopback, for agents without a screen.

The script is a list of tool calls. Each request is answered with the next call, until all have a result, then with the
word "done". The agent's reports of each call are in :attr:`ScriptedModel.results`, its offered tools in
:attr:`ScriptedModel.offered`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any, Final, cast

Step = tuple[str, dict[str, Any]]
_SEEN: Final = ("function_call_output", "tool_result")


class ScriptedModel:
    """One running model. ``script`` may be set anew between two runs."""

    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.script: list[Step] = []
        self.results: list[str] = []
        self.offered: set[str] = set()

    def start(self, script: list[Step]) -> None:
        """Begin anew with a script."""
        self.script, self.results, self.offered = script, [], set()

    def next_step(self, results: list[str]) -> Step | None:
        """Return the call after those whose results an agent brings, None when all were made."""
        self.results = results
        return self.script[len(results)] if len(results) < len(self.script) else None


@contextmanager
def scripted_model() -> Iterator[ScriptedModel]:
    """Serve a scripted model until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    model = _Handler.models[server.server_port] = ScriptedModel(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        del _Handler.models[server.server_port]


class _Handler(BaseHTTPRequestHandler):
    """Both APIs; everything else that agents ask of a provider is not there."""

    protocol_version = "HTTP/1.1"
    models: Final[dict[int, ScriptedModel]] = {}

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._send(200, "text/plain", b"")

    def do_GET(self) -> None:
        self._send(404, "application/json", b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0]
        model = self.models[cast("HTTPServer", self.server).server_port]
        if path == "/v1/script":
            model.start([(name, arguments) for name, arguments in json.loads(body)])
            self._send(200, "application/json", b"{}")
        elif path == "/v1/messages":
            self._message(model, json.loads(body))
        elif path == "/v1/responses":
            self._response(model, json.loads(body))
        else:
            self._send(404, "application/json", b"{}")

    def _message(self, model: ScriptedModel, asked: dict[str, Any]) -> None:
        parts = [part for one in asked["messages"] if isinstance(one["content"], list) for part in one["content"]]
        results = [_text(part.get("content", "")) for part in parts if part.get("type") in _SEEN]
        # Requests without tools are for a title or a summary, not for the next call.
        model.offered.update(tool["name"] for tool in asked.get("tools", []))
        step = model.next_step(results) if asked.get("tools") else None
        block: dict[str, Any] = {"type": "text", "text": "done"}
        if step is not None:
            block = {"type": "tool_use", "id": f"toolu_{len(results):02}", "name": step[0], "input": step[1]}
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": asked.get("model", ""), "content": [block],
            "stop_reason": "end_turn" if step is None else "tool_use", "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }  # fmt: skip
        if asked.get("stream"):
            self._events(_message_events(message))
        else:
            self._send(200, "application/json", json.dumps(message).encode())

    def _response(self, model: ScriptedModel, asked: dict[str, Any]) -> None:
        given = asked["input"] if isinstance(asked["input"], list) else []
        results = [_text(item.get("output", "")) for item in given if item.get("type") in _SEEN]
        for tool in asked.get("tools", []):
            model.offered.update(f"{tool['name']}::{one['name']}" for one in tool.get("tools", []))
        step = model.next_step(results)
        item: dict[str, Any] = {
            "id": "item_1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "done", "annotations": []}],
        }  # fmt: skip
        if step is not None:
            namespace, _, name = step[0].rpartition("::")
            at = len(results)
            item = {
                "id": f"fc_{at}", "type": "function_call", "call_id": f"call_{at}", "name": name,
                "arguments": json.dumps(step[1]), "status": "completed",
            }  # fmt: skip
            if namespace:
                item["namespace"] = namespace
        usage = {
            "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
        }  # fmt: skip
        response = {
            "id": "resp_1", "object": "response", "created_at": 0, "status": "completed", "error": None,
            "model": asked.get("model", ""), "output": [item], "usage": usage, "parallel_tool_calls": False,
            "tool_choice": "auto", "tools": [],
        }  # fmt: skip
        if asked.get("stream"):
            begun = response | {"status": "in_progress", "output": []}
            self._events(
                [
                    {"type": "response.created", "response": begun},
                    {"type": "response.output_item.done", "output_index": 0, "item": item},
                    {"type": "response.completed", "response": response},
                ]
            )
        else:
            self._send(200, "application/json", json.dumps(response).encode())

    def _events(self, events: list[dict[str, Any]]) -> None:
        lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self._send(200, "text/event-stream", "".join(lines).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _message_events(message: dict[str, Any]) -> list[dict[str, Any]]:
    (block,) = message["content"]
    empty, delta = dict(block), {"type": "text_delta", "text": block.get("text", "")}
    if block["type"] == "tool_use":
        empty["input"] = {}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty["text"] = ""
    stopped = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    return [
        {"type": "message_start", "message": message | {"content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stopped, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]  # fmt: skip


def _text(content: Any) -> str:
    """Return the text of a tool's result, which both APIs write as a text or as a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content if isinstance(part, dict))
