"""Hostile messages for property-based tests: mostly well-formed around one wrong thing, with a thief's loot in likely
places.
"""

from typing import Any

from hypothesis import strategies as st

from support.talk import ASKABLE, accepted
from support.ward import VERSION

Drawn = st.SearchStrategy[Any]

METHODS = [
    "initialize", "ping", "server/discover", "tools/list", "tools/call", "resources/list", "resources/read",
    "resources/templates/list", "resources/subscribe", "resources/unsubscribe", "prompts/list", "prompts/get",
    "completion/complete", "logging/setLevel", "subscriptions/listen", "tasks/get", "tasks/update", "tasks/cancel",
    "tasks/list", "tasks/result", "notifications/cancelled", "notifications/initialized", "notifications/progress",
    "notifications/roots/list_changed", "sampling/createMessage", "elicitation/create", "roots/list", "stream/open",
]  # fmt: skip
NAMES = [
    "worker", "ask", "ask_twice", "say", "update", "switch", "place", "hidden", "wipe", "asking_job", "greet",
    "whisper", "talk://news", "talk://vault", "talk://shelf/a", "talk://shelf/%0d%0a", "talk://tree/a/b",
    "talk://safe/x", "who",
]  # fmt: skip

scalars: Drawn = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53) - 9, 2**64), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40), st.sampled_from(NAMES),
)  # fmt: skip
values: Drawn = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=12,
)
answers: Drawn = st.one_of(st.just(accepted("Mallory")), values)


def _object(**fields: Drawn) -> Drawn:
    """Draw an object with some of these members, or anything."""
    return st.one_of(st.fixed_dictionaries({}, optional=fields), values)


def params(loot: Drawn) -> Drawn:
    """Draw params: the members of every method, in any company."""
    named = st.one_of(st.sampled_from(NAMES), loot, scalars)
    handle = st.one_of(loot, scalars)
    keys = st.sampled_from(["who", "input-1", "mcpward/confirm"])
    return _object(
        name=named,
        uri=named,
        taskId=handle,
        requestState=handle,
        inputResponses=st.one_of(st.dictionaries(keys, answers), values),
        arguments=_object(about=scalars, text=scalars, what=scalars, secret=scalars),
        ref=_object(type=st.sampled_from(["ref/prompt", "ref/resource", "x"]), name=named, uri=named),
        argument=_object(name=named, value=scalars),
        notifications=_object(
            toolsListChanged=scalars,
            resourceSubscriptions=st.lists(named, max_size=3),
            taskIds=st.lists(handle, max_size=3),
        ),
        requestId=handle,
        level=st.one_of(st.just("debug"), scalars),
        cursor=handle,
        protocolVersion=st.one_of(st.sampled_from(["2025-03-26", "2025-11-25", VERSION]), scalars),
        capabilities=st.one_of(st.just(ASKABLE), values),
        clientInfo=values,
        progressToken=scalars,
        _meta=values,
    )


def aimed(loot: Drawn) -> Drawn:
    """Draw method and params that belong together: what a thief would try who has read the specification."""
    some = st.fixed_dictionaries({}, optional={"about": st.text(max_size=8)})
    more = {"requestState": loot, "inputResponses": st.dictionaries(st.sampled_from(["who", "input-1"]), answers)}
    uri = st.sampled_from([name for name in NAMES if "://" in name])
    prompt = st.sampled_from(["greet", "whisper"])
    ref = st.fixed_dictionaries({"type": st.just("ref/prompt"), "name": prompt})
    argument = st.fixed_dictionaries({"name": st.just("name"), "value": st.text(max_size=8)})
    tasks = st.lists(loot, max_size=3)
    pairs: dict[str, tuple[dict[str, Drawn], dict[str, Drawn]]] = {
        "tools/call": (
            {"name": st.sampled_from(["ask", "ask_twice", "asking_job", "wipe", "hidden"])},
            more | {"arguments": some},
        ),
        "resources/read": ({"uri": uri}, {}),
        "resources/subscribe": ({"uri": uri}, {}),
        "prompts/get": ({"name": prompt, "arguments": st.fixed_dictionaries({"name": st.text(max_size=8)})}, more),
        "completion/complete": ({"ref": ref, "argument": argument}, {}),
        "tasks/get": ({"taskId": loot}, {}),
        "tasks/update": ({"taskId": loot}, {"inputResponses": more["inputResponses"]}),
        "tasks/cancel": ({"taskId": loot}, {}),
        "subscriptions/listen": ({"notifications": st.fixed_dictionaries({"taskIds": tasks})}, {}),
        "logging/setLevel": ({"level": st.sampled_from(["debug", "error", "x"])}, {}),
        "notifications/cancelled": ({"requestId": loot}, {}),
    }
    drawn = [
        st.fixed_dictionaries({"method": st.just(method), "params": st.fixed_dictionaries(whole, optional=part)})
        for method, (whole, part) in pairs.items()
    ]
    return st.one_of(drawn)


def messages(handles: list[str]) -> Drawn:
    """Draw a request (most often), a notification, an answer, or something between them."""
    loot = st.sampled_from(handles)
    two = st.just("2.0")
    whole = {"jsonrpc": two, "method": st.sampled_from(METHODS), "params": params(loot)}
    request = st.fixed_dictionaries(whole | {"id": st.integers(0, 9)})
    odd_request = st.fixed_dictionaries(whole | {"id": st.one_of(loot, scalars)})
    notification = st.fixed_dictionaries(whole)
    answer = st.fixed_dictionaries(
        {"jsonrpc": two, "id": st.one_of(loot, scalars)}, optional={"result": answers, "error": values}
    )
    anything = st.fixed_dictionaries(
        {},
        optional={
            "jsonrpc": st.one_of(two, scalars),
            "id": st.one_of(st.integers(0, 9), loot, scalars),
            "method": st.one_of(st.sampled_from(METHODS), st.text(max_size=20)),
            "params": params(loot),
            "result": answers,
            "error": st.one_of(st.just({"code": -1, "message": "no"}), values),
        },
    )
    aim = st.tuples(aimed(loot), st.integers(0, 9)).map(lambda one: {"jsonrpc": "2.0", "id": one[1], **one[0]})
    kinds = {"aim": aim, "whole": request, "odd": odd_request, "tell": notification, "answer": answer, "any": anything}
    often = ["aim"] * 6 + ["whole"] * 3 + ["odd", "tell", "answer", "any"]  # one_of would draw each as often
    return st.sampled_from(often).flatmap(lambda kind: kinds[kind])
