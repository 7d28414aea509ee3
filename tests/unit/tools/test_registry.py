from datetime import datetime
from typing import Annotated, Any

import pytest

from mcpward import DateRange, Header, Icon, Server
from mcpward.core.change import Topic
from mcpward.core.errors import Misconfigured, Refusal
from mcpward.core.reasons import Reason
from mcpward.core.values import Rate
from mcpward.tools.registry import Defaults, Registry
from support.facts import facts_of


@pytest.fixture
def server() -> Server:
    return Server("shop")


def test_tools_are_listed_in_the_authors_order(server):
    for name in ("zebra", "ape", "mole"):
        server.tool(name)(lambda: None)
    registry = Registry("orders", server)
    assert [tool.name for tool in registry.tools] == ["zebra", "ape", "mole"]
    assert registry.find("ape") is registry.tools[1]


@pytest.mark.parametrize("name", ["Ape", "ape ", "", "__proto__", "ape\0", "a" * 10_000, "\u202eepa"])
def test_only_the_exact_name_finds_a_tool(server, name):
    """Attack 66."""
    server.tool("ape")(lambda: None)
    assert Registry("orders", server).find(name) is None


def test_an_entry_has_what_the_specification_asks_for(server):
    @server.tool(
        title="Count", read_only=True, open_world=False, idempotent=True, scopes=["a"], rate="60/minute burst 5"
    )
    def count(n: int) -> int:
        """Counts."""
        return n

    tool = Registry("orders", server).tools[0]
    assert tool.listing == {
        "name": "count",
        "title": "Count",
        "description": "Counts.",
        "inputSchema": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
        "outputSchema": {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]},
        "annotations": {
            "title": "Count",
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
    }
    assert tool.rate == Rate(60, 60.0, 5)
    assert tool.scopes == {"a"}
    assert tool.structured


def test_the_tools_own_deadline_goes_before_the_servers(server):
    server.tool("one")(lambda: None)
    server.tool("two", deadline_s=3)(lambda: None)
    assert [tool.deadline_s for tool in Registry("orders", server, Defaults(deadline_s=7)).tools] == [7, 3]


def test_all_rates_that_cannot_be_read_are_told_at_once(server):
    server.tool("one", rate="often")(lambda: None)
    server.tool("two", rate="0/minute")(lambda: None)
    with pytest.raises(Misconfigured) as wrong:
        Registry("orders", server)
    assert [finding.what for finding in wrong.value.findings] == [
        "tool 'one': its rate cannot be read",
        "tool 'two': its rate cannot be read",
    ]


def test_all_guards_are_asked(server):
    @server.tool(guards=[DateRange("a", "b", 1), DateRange("a", "c", 2)])
    def between(a: datetime, b: datetime, c: datetime) -> None: ...

    tool = Registry("orders", server).tools[0]
    raw = b'{"a": "2026-01-01T00:00:00Z", "b": "2026-02-01T00:00:00Z", "c": "2026-02-01T00:00:00Z"}'
    with pytest.raises(Refusal) as refusal:
        tool.bind(raw)
    assert refusal.value.reason is Reason.ARGUMENT_DANGEROUS
    assert facts_of(refusal.value)["problems"] == [
        {"path": "b", "rule": "date range cannot exceed 1 days; you asked for 31"},
        {"path": "c", "rule": "date range cannot exceed 2 days; you asked for 31"},
    ]


ICON = Icon("https://x.example/i.png", mime_type="image/png")


def test_icons_and_meta_stand_in_every_entry(server):
    server.tool("act", icons=[ICON], meta={"ui": {"a": 1}})(lambda: None)
    server.prompt("ask", icons=[ICON], meta={"ui": 2})(lambda: "")
    server.resource("orders://all", name="all", icons=[ICON], meta={"ui": 3})(lambda: "")
    registry = Registry("orders", server)
    offers: list[tuple[Any, Any]] = [
        (registry.tools[0], {"a": 1}),
        (registry.prompts[0], 2),
        (registry.resources[0], 3),
    ]
    for offer, meta in offers:
        assert offer.listing["icons"] == [{"src": "https://x.example/i.png", "mimeType": "image/png"}]
        assert offer.listing["_meta"] == {"ui": meta}


def test_a_resource_has_what_the_specification_asks_for(server):
    @server.resource(
        "orders://all", title="All", mime_type="text/plain", size=7, annotations={"audience": ["user"]}, ttl_s=1.5
    )
    def everything() -> str:
        """All orders."""
        return ""

    resource = Registry("orders", server).resources[0]
    assert resource.listing == {
        "name": "everything",
        "title": "All",
        "description": "All orders.",
        "uri": "orders://all",
        "mimeType": "text/plain",
        "size": 7,
        "annotations": {"audience": ["user"]},
    }
    assert resource.ttl_ms == 1500


def test_templates_are_listed_apart_from_resources(server):
    @server.resource("orders://{number}/lines", mime_type="text/plain", scopes=["orders:read"])
    def lines(number: int) -> str:
        """The lines of an order."""
        return ""

    registry = Registry("orders", server)
    assert registry.resources == ()
    assert [template.listing for template in registry.templates] == [
        {
            "name": "lines",
            "description": "The lines of an order.",
            "uriTemplate": "orders://{number}/lines",
            "mimeType": "text/plain",
        }
    ]
    assert registry.templates[0].scopes == {"orders:read"}


def test_a_tools_mirrored_headers_task_and_consent_are_known(server):
    @server.tool(task="required", confirm="Really?")
    def ask(region: Annotated[str, Header("Region")]) -> None: ...

    tool = Registry("orders", server).tools[0]
    assert (tool.mirrored, tool.task) == ({b"mcp-param-region": ("region",)}, "required")
    assert (tool.confirm, tool.question) == (True, "Really?")


def test_what_is_declared_is_announced_even_while_it_is_off(server):
    empty = Registry("orders", server)
    announced = ("has_tools", "has_prompts", "has_resources", "has_completions", "has_tasks")
    assert not any(getattr(empty, name) for name in announced)
    server.tool("act", task="optional", enabled=False)(lambda: None)
    server.resource("orders://all", name="all", enabled=False)(lambda: "")

    @server.prompt(enabled=False)
    def ask(loud: bool) -> str: ...

    full = Registry("orders", server)
    assert all(getattr(full, name) for name in announced)
    assert (full.tools, full.prompts, full.resources) == ((), (), ())


def test_what_is_switched_off_is_not_there_and_comes_back(server):
    server.tool("act")(lambda: None)
    server.tool("other")(lambda: None)
    server.prompt("ask")(lambda: "")
    server.resource("orders://all", name="all")(lambda: "")

    @server.resource("orders://{number}")
    def one(number: str) -> str: ...

    registry = Registry("orders", server)
    server.disable(tool="act")
    server.disable(prompt="ask")
    server.disable(resource="orders://all")
    server.disable(resource="orders://{number}")
    assert registry.find("act") is None
    assert [tool.name for tool in registry.tools] == ["other"]
    assert registry.find_prompt("ask") is None
    assert registry.find_resource("orders://all") is None
    assert registry.find_resource("orders://1") is None
    assert (registry.prompts, registry.resources, registry.templates) == ((), (), ())
    server.enable(tool="act")
    server.adopt(Topic.RESOURCES, "orders://{number}", on=True)
    assert [tool.name for tool in registry.tools] == ["act", "other"]
    assert registry.find_resource("orders://1") is not None


@pytest.fixture
def shop(server) -> Registry:
    @server.resource("orders://admin/lines", scopes=["admin"])
    def admin() -> str: ...

    @server.resource("orders://vault/{key}", scopes=["admin"])
    def vault(key: str) -> str: ...

    @server.resource("orders://{number}/lines")
    def lines(number: str) -> str: ...

    @server.resource("orders://{first}/{second}")
    def two(first: str, second: str) -> str: ...

    @server.resource("orders://{rest*}")
    def rest(rest: str) -> str: ...

    return Registry("orders", server)


@pytest.mark.parametrize(
    "uri,name",
    [
        ("orders://admin/lines", "admin"),
        ("orders://vault/1", "vault"),
        ("orders://17/lines", "lines"),
        ("orders://17/other", "two"),
        ("orders://17/other/more", "rest"),
        ("orders://a%20b/lines", "lines"),
    ],
)
def test_fixed_uris_go_first_and_then_the_first_template(shop, uri, name):
    found = shop.find_resource(uri)
    assert found is not None
    assert (found.listing["name"], found.uri) == (name, uri)


@pytest.mark.parametrize(
    "uri",
    [
        "orders://admin%2Flines",
        "orders://%61dmin%2flines",
        "orders://v%61ult/1/..",
        "orders://17/../admin/lines",
        "orders://17//lines",
        "ORDERS://admin/lines",
        "orders://" + "a" * 3000,
    ],
)
def test_another_spelling_of_a_guarded_uri_finds_no_wider_template(shop, uri):
    """Attack 78: ``%2F`` reads as ``/`` to many, and the template after it asks for no scope."""
    assert shop.find_resource(uri) is None


@pytest.mark.parametrize(
    "uri, name",
    [("orders://%61dmin/lines", "admin"), ("orders://admin/line%73", "admin"), ("orders://%76ault/1", "vault")],
)
def test_equivalent_spellings_of_a_guarded_uri_find_it_with_its_guard(shop, uri, name):
    found = shop.find_resource(uri)
    assert found is not None
    assert (found.listing["name"], found.scopes) == (name, {"admin"})


@pytest.mark.parametrize(
    "uri",
    [
        "orders://%76ault/caf%C3%A9",
        "orders://%76ault/a%20b",
        "orders://%76ault/100%25",
        "orders://%76ault/a%3Fb",
        "orders://v%61ult%2Fa%20b",
        "orders://find%3Fq=caf%C3%A9",
        "orders://list%5B1%5D",
        "orders://vault/é",
        "orders://caf%c3%a9/more",
        "orders://%63af%C3%A9/more",
        "orders://a%20b/m%6Fre",
        "orders://blu%65/more",
        "orders://blu%C3%A9/1",
        "orders://blu%C3%a9/%31",
    ],
)
def test_78_what_must_be_escaped_hides_no_other_spelling_of_a_guarded_uri(uri):
    """Attack 78: a value with a blank or an umlaut in it, or an escape in another case, is no way around the guard."""
    server = Server("orders")
    for guarded in ("orders://caf%C3%A9/more", "orders://a%20b/more", "orders://blue/more", "orders://list[1]"):
        server.resource(guarded, name=guarded, scopes=["all"])(lambda: "guarded")

    @server.resource("orders://vault/{key}", scopes=["all"])
    def vault(key: str) -> str: ...

    @server.resource("orders://find?q={key}", scopes=["all"])
    def find(key: str) -> str: ...

    @server.resource("orders://blu%c3%a9/{key}", scopes=["all"])
    def blue(key: str) -> str: ...

    @server.resource("orders://{rest*}")
    def rest(rest: str) -> str: ...

    found = Registry("orders", server).find_resource(uri)
    assert found is None or found.scopes == {"all"}


@pytest.mark.parametrize(
    "uri, plain",
    [
        ("orders://a%20c/d", "orders://a%20c/d"),
        ("orders://a c/d", "orders://a%20c/d"),
        ("orders://cafés/more", "orders://caf%C3%A9s/more"),
        ("orders://caf%c3%a9s/more", "orders://caf%C3%A9s/more"),
        ("orders://vaults/%41", "orders://vaults/A"),
        ("orders://vault/a/%41", "orders://vault/a/A"),
    ],
)
def test_escapes_that_spell_nothing_declared_earlier_find_their_template(shop, uri, plain):
    found = shop.find_resource(uri)
    assert found is not None
    assert found.uri == plain


def test_no_wider_template_steps_in_for_what_is_switched_off(server, shop):
    for uri, declared in [
        ("orders://admin/lines", "orders://admin/lines"),
        ("orders://vault/1", "orders://vault/{key}"),
    ]:
        server.disable(resource=declared)
        assert shop.find_resource(uri) is None
