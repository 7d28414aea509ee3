import pytest

from mcpward.core.challenge import Challenge
from mcpward.core.errors import Refusal
from mcpward.core.reasons import Reason
from mcpward.ingress import render


@pytest.mark.parametrize(
    "scope,written",
    [
        ("a:b", "a:b"),
        ('"', '\\"'),
        ("\\", "\\\\"),
        ("a\r\nset-cookie: b", "a??set-cookie: b"),
        ("\0\x7f\t", "???"),
        ("é", "?"),
    ],
)
def test_a_challenge_is_one_line_whatever_is_in_it(scope: str, written: str):
    challenge = Challenge("https://mcp.example.com/x", (scope,))
    reply = render.refusal(Refusal(Reason.SCOPE_MISSING, "", challenge))
    value = dict(reply.headers)[b"www-authenticate"].decode("ascii")
    assert value.endswith(f'resource_metadata="https://mcp.example.com/x", scope="{written}"')
    assert value.isprintable()
