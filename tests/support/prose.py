"""The text of a page, sentence by sentence: without its code, its tables, its headings and its pictures."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"^([ \t]*)(```|~~~).*?^[ \t]*\2[ \t]*$", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
BLOCK = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:[*+-]|\d+\.)[ \t])")
MARKER = re.compile(r"^[ \t]*(?:[*+-]|\d+\.)[ \t]+|^[ \t]*>[ \t]?", re.MULTILINE)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
LINK = re.compile(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
ABBREVIATION = re.compile(r"\b(e\.g|i\.e|etc|vs|cf|St)\.(?=\s)")
END = re.compile(r"(?<=[.!?])[\"')*_]*\s+(?=[\"'(*_]*(?:[A-Z0-9]|mcpward\b))|\s+·\s+")
WORD = re.compile(r"[^\W_](?:[^\s]*[^\W_])?")


class Sentence(NamedTuple):
    line: int
    text: str

    @property
    def words(self) -> int:
        return len(WORD.findall(self.text))


def sentences(page: Path) -> Iterator[Sentence]:
    """Every sentence of a page with the line its paragraph starts at; code in a sentence is the one word ``X``."""
    text = page.read_text(encoding="utf-8")
    for pattern in (FENCE, COMMENT):
        text = pattern.sub(lambda match: "\n" * match.group().count("\n"), text)
    at = 1
    for block in re.split(f"({BLOCK.pattern})", text):
        if block.strip() and not block.lstrip().startswith(("|", "#")):
            start = at + block[: len(block) - len(block.lstrip())].count("\n")
            yield from (Sentence(start, said) for said in said_in(block))
        at += block.count("\n")


def said_in(block: str) -> Iterator[str]:
    """The sentences of one paragraph or list item."""
    plain = MARKER.sub("", PICTURE.sub("", block))
    plain = CODE.sub("X", LINK.sub(r"\1", plain))
    # A table or a heading may follow its paragraph without an empty line.
    plain = " ".join(line.strip() for line in plain.splitlines() if not line.lstrip().startswith(("|", "#")))
    plain = ABBREVIATION.sub(r"\1", plain)
    yield from (said.strip() for said in END.split(plain) if said.strip())
