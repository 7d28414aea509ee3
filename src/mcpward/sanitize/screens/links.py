"""Links and images of a text, made harmless: no client loads an image, and no link carries data in its address.

A model that is misled writes an image whose address holds what it knows, and a client that shows Markdown fetches it
without a click. What is left of a link names its address as plain text. Time is linear: each pattern is bounded.
"""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote, urlsplit

from mcpward.core.pace import step

#: Elements that load something, lead somewhere or run something.
_ELEMENTS: Final = (
    "img|image|picture|a|area|base|link|meta|iframe|frame|embed|object|video|audio|source|track|script|style|svg|form|"
    "input|button|body|table|td|bgsound"
)
_TAG: Final = re.compile(rf"<(/?)({_ELEMENTS})\b([^<>]{{0,8192}})>", re.IGNORECASE)
_OPEN_TAG: Final = re.compile(rf"<(?=/?(?:{_ELEMENTS})\b)", re.IGNORECASE)
_ADDRESS: Final = re.compile(
    r"""\b(?:src|srcset|href|xlink:href|action|formaction|data|poster|background)\s{0,9}=\s{0,9}"""
    r"""(?:"([^"]{0,4096})"|'([^']{0,4096})'|([^\s"'>]{1,4096}))""",
    re.IGNORECASE,
)
_ALT: Final = re.compile(r"""\balt\s{0,9}=\s{0,9}(?:"([^"]{0,500})"|'([^']{0,500})')""", re.IGNORECASE)
_TARGET: Final = r"\(\s{0,9}(?:<([^<>\n]{0,4096})>|([^()\s]{0,4096}+(?:\([^()\s]{0,2000}\)[^()\s]{0,2000}+)?))"
_TITLE: Final = r"(?:\s{1,9}[^()]{0,500})?\)"
_IMAGE: Final = re.compile(rf"!\[([^\[\]]{{0,1000}})\]{_TARGET}{_TITLE}")
_LINK: Final = re.compile(rf"\[([^\[\]]{{0,1000}})\]{_TARGET}{_TITLE}")
_DEFINITION: Final = re.compile(r"^([ \t>*+-]{0,20})\[([^\[\]]{1,200})\]:", re.MULTILINE)
#: The end of a definition's label before what may be an address, wherever it stands: lists and labels have many forms.
_LABEL_END: Final = re.compile(r"\]:(?=[\s>]*+\S{0,60}?[:/&\\])")
#: What begins any other element with an attribute that loads, runs or leads away. An attribute may hide it with a
#: bracket in quotes.
_OPEN_LOADING: Final = re.compile(
    r"<(?=[a-z](?:[^<>]{0,4096}?[\s/\"'](?:style|background|on[a-z]{2,30}|src\w{0,10}|imagesrcset|href|xlink:href|"
    r"action|formaction|data|poster|ping|cite|longdesc|manifest|code|codebase|archive|classid|usemap|dynsrc|lowsrc)"
    r"\s{0,9}=|[^<>=]{0,200}=\s{0,9}[\"'][^\"'<>]{0,4096}[<>]))",
    re.IGNORECASE,
)
_AUTOLINK: Final = re.compile(r"<((?:https?|ftp|mailto):[^<>\s]{1,4096})>", re.IGNORECASE)
#: What comes after the scheme, so that the search begins with a constant.
_URL: Final = re.compile(r"""://[^\s<>"'`\u27e6\u27e7]{1,4096}""")
_DATA: Final = re.compile(
    r"\bdata:(?:[a-z]{1,20}/[a-z0-9.+-]{1,100}[^,\s]{0,200}|(?:;[^,\s]{1,100})|(?=,\S)),[^\s\"'<>)\]]*", re.IGNORECASE
)
_SCRIPT: Final = re.compile(r"\b(javascript|vbscript|livescript):(?=\S)[^\s\"'<>)\]]{1,4096}", re.IGNORECASE)
_LEADS_AWAY: Final = re.compile(r"[:&\\]|//")
_ENDS: Final = ").,;:!?]}"
#: What is drawn or encoded, and not written: words are shorter, or have something between them.
_OPAQUE: Final = re.compile(r"[A-Za-z0-9=]{24,}")
_GAP: Final = re.compile(r"[{<\[$|]")


def neutral(text: str) -> str:
    """Return a text in which links and images are plain text; the same object if it has none."""
    before, lower = text, text.lower()
    changes = [(pattern, change) for sign, pattern, change in _CHANGES if sign in lower]
    if not changes:
        return text
    for pattern, change in changes:
        text = step(pattern.sub(change, text))
    # What the patterns above do not know as a link is none without these.
    if "<" in text:
        text = _OPEN_LOADING.sub("\u2039", _OPEN_TAG.sub("\u2039", text))
    if "]:" in text:
        text = _LABEL_END.sub("] :", text)
    text = text.replace("](", "] (")
    return before if text == before else text


def _without_tag(found: re.Match[str]) -> str:
    closing, element, attributes = found.groups()
    if closing:
        return f"\u27e6/{element}\u27e7"
    address = _ADDRESS.search(attributes)
    where = "" if address is None else next((one for one in address.groups() if one), "")
    if element.lower() in {"a", "area"}:
        return f"\u27e6link {_shown(where)}\u27e7" if where else f"\u27e6{element}\u27e7"
    if element.lower() in {"img", "image"}:
        alt = _ALT.search(attributes)
        return _image((alt[1] or alt[2] or "") if alt else "", where)
    return f"\u27e6{element} {_host(where)}\u27e7" if where else f"\u27e6{element}\u27e7"


def _without_image(found: re.Match[str]) -> str:
    return _image(found[1], found[2] or found[3] or "")


def _without_link(found: re.Match[str]) -> str:
    where = found[2] or found[3] or ""
    if where and not _LEADS_AWAY.search(where):  # code, such as f[0](x), or a name on the client's own side
        return f"[{found[1]}] {found[0][len(found[1]) + 2 :]}"
    return f"{found[1]} \u27e6{_shown(where)}\u27e7" if where else found[1]


def _image(alt: str, where: str) -> str:
    named = f" {alt.strip()}" if alt.strip() else ""
    host = _host(where)
    return f"\u27e6image{named}, at {host}\u27e7" if host else f"\u27e6image{named}\u27e7"


def _host(where: str) -> str:
    try:
        host = urlsplit(where if "//" in where else f"//{where}").hostname if ":" in where or "//" in where else ""
    except ValueError:
        return "an address that cannot be read"
    return (host or "")[:253]


def _shown(where: str) -> str:
    """Return the address of a link, for a person: without what it carries, and none that runs or holds something."""
    plain = _SCRIPT.sub(_without_script, _DATA.sub(_without_data, where))
    return _URL.sub(_without_query, plain)


def _without_data(found: re.Match[str]) -> str:
    return f"\u27e6data of {len(found[0])} characters\u27e7"


def _without_script(found: re.Match[str]) -> str:
    return f"\u27e6{found[1].lower()} address\u27e7"


def _without_query(found: re.Match[str]) -> str:
    url = found[0]
    plain = url.rstrip(_ENDS)
    rest, mark, query = _cut(plain)
    return f"{rest}{mark}\u2026{url[len(plain) :]}" if mark and _carries(query) else url


def _cut(url: str) -> tuple[str, str, str]:
    at = min((at for at in (url.find("?"), url.find("#")) if at >= 0), default=-1)
    return (url, "", "") if at < 0 else (url[:at], url[at], url[at + 1 :])


def _carries(query: str) -> bool:
    """Return whether a query or fragment has a place to be filled in, or a value that no person wrote."""
    values = unquote(query)
    return _GAP.search(values) is not None or any(
        not (run.isalpha() and run.islower()) for run in _OPAQUE.findall(values)
    )


_Change = Callable[[re.Match[str]], str] | str
#: Each with a sign without which it finds nothing.
_CHANGES: Final[tuple[tuple[str, re.Pattern[str], _Change], ...]] = (
    ("<", _TAG, _without_tag),
    ("<", _AUTOLINK, r"\1"),
    ("![", _IMAGE, _without_image),
    ("](", _LINK, _without_link),
    ("]:", _DEFINITION, r"\1\2 :"),
    ("data:", _DATA, _without_data),
    ("script:", _SCRIPT, _without_script),
    ("://", _URL, _without_query),
)
