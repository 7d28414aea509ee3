"""The page on which a person approves or denies one call. Its address has a secret, and goes only to their client.

Reading the page decides nothing: only its form does, which has a token of the page. There is no script on it. A wrong
or old address is answered alike, and counts against the address that it came from, as a failed credential does.
"""

import asyncio
import base64
import hashlib
import html
import logging
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import parse_qs

from mcpward.approvals.approvals import Approval, Approvals
from mcpward.approvals.record import ApprovalStatus
from mcpward.core.errors import Refusal
from mcpward.core.moment import moment_text
from mcpward.core.operator import Operator
from mcpward.core.reasons import Reason
from mcpward.core.values import Arrival, Reply, ResponseStream

_log: Final = logging.getLogger("mcpward")
_STORE_S: Final = 5.0
_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;"
    "background:Canvas;color:CanvasText}"
    "h1{font-size:1.3rem}dt{font-weight:600}dd{margin:0 0 .6rem}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid GrayText;border-radius:6px;padding:1rem;"
    "font:14px/1.5 ui-monospace,monospace}"
    "button{font:inherit;padding:.6rem 1.4rem;margin-right:1rem;border:1px solid GrayText;border-radius:6px;"
    "background:ButtonFace;color:ButtonText;cursor:pointer}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: The type stands first: render leaves JSON's out then. What all answers have (no-store, no-referrer) it adds.
_HEADERS: Final = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY.encode("ascii")),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-robots-tag", b"noindex"),
)
_TOLD: Final = {
    ApprovalStatus.APPROVED.value: ("Approved", "The call can be made now, once. You can close this page."),
    ApprovalStatus.DENIED.value: ("Denied", "The call does not run. You can close this page."),
    ApprovalStatus.USED.value: ("Approved", "The call was made. You can close this page."),
}


class Refuse(Protocol):
    """Puts a refused request on record, and counts a failed credential against its address."""

    def __call__(self, no: Refusal, *, peer: str, bucket: str, server: str, bytes_in: int) -> Reply:
        """Return the answer as JSON; its status says whether the address has failed too often."""
        ...


class ApprovalPages:
    """Answers for all approval pages of one worker. ``host`` names the machine in the record."""

    def __init__(self, approvals: Approvals, refuse: Refuse, host: Callable[[], str]) -> None:
        self._approvals = approvals
        self._refuse = refuse
        self._host = host

    async def answer(self, arrival: Arrival, _wire: ResponseStream) -> Reply:
        """Return the page at the link in the arrival's path, or what its form has done. Never raises."""
        try:
            async with asyncio.timeout(_STORE_S):
                return await self._answer(arrival)
        except Exception as error:  # noqa: BLE001  # no caller is above: the person gets an answer, the log the kind
            _log.error("an approval page cannot be shown (%s)", type(error).__name__)
            return _page(503, "Not now", "<p>The approval cannot be read at the moment. Reload the page.</p>")

    async def _answer(self, arrival: Arrival) -> Reply:
        link = arrival.path_secret.reveal() if arrival.path_secret is not None else ""
        found = await self._approvals.by_link(link)
        if found is None:
            return self._unknown(arrival)
        if arrival.verb != "POST":
            return self._shown(found, link)
        token, said = _fields(arrival.body)
        if not self._approvals.is_form_token(link, token) or said not in {"yes", "no"}:
            return _page(403, "Not accepted", "<p>The form did not come from its page. Open the link again.</p>")
        operator = Operator(user="page", host=self._host(), command="approve page", address=arrival.peer)
        await self._approvals.decide(found.row.id, f"page:{arrival.peer}", yes=said == "yes", operator=operator)
        # Sent again by a reload, the form would only be told that the call is decided: the page is read instead.
        return Reply(303, (*_HEADERS, (b"location", link.encode("ascii"))), reason=None)

    def _unknown(self, arrival: Arrival) -> Reply:
        no = Refusal(Reason.CREDENTIAL_INVALID, "the link of an approval page")
        counted = self._refuse(no, peer=arrival.peer, bucket=arrival.bucket, server="", bytes_in=len(arrival.body))
        if counted.status == 429:
            return _page(429, "Too many wrong links", "<p>Wait a minute, and open the link again.</p>", counted.reason)
        text = "<p>This link is wrong, or its time is over. Make the call again to get another one.</p>"
        return _page(404, "There is nothing here", text, counted.reason)

    def _shown(self, found: Approval, link: str) -> Reply:
        row, call = found.row, found.call
        if call is None:
            return _page(410, "Not readable", "<p>The call was sealed with another master key. Make it again.</p>")
        facts = (
            ("Server", row.server),
            ("Tool", row.tool),
            ("Caller", call.who),
            ("Address", call.peer),
            ("Open until", moment_text(row.expires_at)),
        )
        listed = "".join(f"<dt>{name}</dt><dd>{html.escape(value)}</dd>" for name, value in facts)
        asked = f"<pre>{html.escape(call.question)}</pre><dl>{listed}</dl>"
        told = _TOLD.get(row.status)
        if told is not None:
            title, text = told
            return _page(200, title, f"<p>{text}</p>{asked}")
        form = (
            '<form method="post" autocomplete="off">'
            f'<input type="hidden" name="token" value="{self._approvals.form_token(link)}">'
            '<button name="answer" value="no">No</button>'
            '<button name="answer" value="yes">Yes, run it once</button></form>'
        )
        return _page(200, "Approve this call?", f"{asked}{form}")


def _fields(body: bytes) -> tuple[str, str]:
    """Return the token and the answer of a form, "" for what it does not have."""
    try:
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    except ValueError:  # too many fields, which ours has not
        return "", ""
    return form.get("token", [""])[0], form.get("answer", [""])[0]


def _page(status: int, title: str, body: str, reason: str | None = None) -> Reply:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    return Reply(status, _HEADERS, text.encode(), reason)
