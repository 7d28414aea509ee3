"""One name for one thing: no two modules and no two classes share a name, but for the parts of one subject."""

import ast
import re
from collections import defaultdict

import pytest

from support.sources import modules, nodes

#: Words that stand for a thing by a picture, where the field has a term; docs/glossary.md has the terms.
PICTURES = {
    "baggage", "book", "conveyor", "crowd", "desk", "doorstep", "elder", "grip", "ground", "house", "keybook", "keeper",
    "knocks", "lane", "lanes", "letter", "letters", "loan", "mail", "mailroom", "shelf", "stock", "teller", "till",
    "voice", "wish", "workshop",
}  # fmt: skip
#: A subject with a part in several packages has one name in each: its settings, its rows, its commands, its operations.
SAME_SUBJECT = {
    "accept", "acts", "address", "approvals", "backup", "bodies", "client", "completion", "connection", "connections",
    "conversation", "counters", "credentials", "effort", "errors", "exchange", "fields", "header", "host",
    "in_process", "keys", "lease", "lifespan", "limits", "listeners", "masked", "oauth", "operator", "permissions",
    "policy", "record", "records", "result", "results", "secret", "serve", "server", "share", "shown",
    "signature", "site", "slots", "sources", "statements", "store", "switches", "tasks", "token_exchange", "url",
    "urls", "used_states", "verify",
}  # fmt: skip
#: By class: why it may be there more than once.
SAME_CLASS = {
    "Address": "of a setting, and of a route",
    "Bounds": "of JSON, and of what is kept of a stream",
    "Client": "of the network, of a test, and a program that speaks MCP",
    "Entry": "of a table of connections, of calls in flight, of a client's file",
    "Exchange": "RFC 9110 and RFC 8693 both call theirs so",
    "Finding": "of a start, and of a verification",
    "Guard": "of the network, and of an argument: the second is public",
    "Header": "of a token, and of a request: the second is public",
    "Job": "of a task, and of a thread",
    "Lifespan": "ASGI's, and an author's: the second is public",
    "Limit": "of calls, and of a text: the second is public",
    "Message": "of JSON-RPC, and of a prompt: the second is public",
    "NamedCallers": "the identity, and its stand-in for tests",
    "Node": "of JSON with comments, and of a schema",
    "Origin": "of a setting, and of a function",
    "Page": "of a list, and of an author's results: the second is public",
    "Permission": "as it is configured, and as it is listed",
    "Place": "of a route, of a schema, and in a client's file",
    "Pool": "of threads, and of calls",
    "Progress": "of an operator's call, and in a test: the second is public",
    "Question": "to a client, and in a test: the second is public",
    "Record": "of a task, and of a request",
    "Reporter": "the port, and what implements it",
    "Resource": "MCP's, and that of RFC 9728",
    "Result": "of a request, and of a test's call: the second is public",
    "Server": "its settings, its process, and an author's: the last is public",
    "ServerLimits": "the settings, and what a call is charged by",
    "Shares": "of limits, and of threads",
    "Site": "the settings, and the opened data",
    "Standing": "of a bucket, and of a store's mark",
    "State": "of a modern call, and of the record",
    "Statement": "of TOML, and of SQL",
    "Store": "the settings, the port of tasks, and what is opened",
    "Switches": "an author's, and the site's",
    "Traffic": "the settings, and what records",
    "Usage": "of limits, and of a disk",
}


def stems() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in modules():
        if not path.stem.startswith("__"):
            found[path.stem].append(str(path))
    return found


def classes() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path))
    return found


def words_of(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z][a-z]*|[a-z]+", name)}


@pytest.mark.parametrize(
    "found, known", [(stems(), SAME_SUBJECT), (classes(), set(SAME_CLASS))], ids=["modules", "classes"]
)
def test_a_name_stands_for_one_thing(found, known):
    twice = {name for name, places in found.items() if len(places) > 1}
    assert sorted(twice - known) == []
    assert sorted(known - twice) == []  # what stands once needs no reason


def test_no_name_is_a_picture():
    names = [
        *stems(),
        *classes(),
        *(node.name for tree in modules().values() for node in nodes(tree) if isinstance(node, ast.ClassDef)),
    ]
    assert sorted({name for name in names if words_of(name) & PICTURES}) == []
