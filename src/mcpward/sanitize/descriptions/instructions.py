"""Orders to the model in a description: what no description needs, and poisoned ones are made of.

An order to call another tool first is common and often meant well, so that alone is none of these. Every pattern is
bounded, and reads the text in one case, without marks and with single blanks.
"""

import re
import unicodedata
from typing import Final

from mcpward.sanitize.screens.invisible import bare

_GAP: Final = r"[^.!?]{0,40}?"
_SECRETLY: Final = (
    r"(?:secretly|covertly|silently (?:send|forward|copy|upload|call|add|include|append)|"
    r"without (?:the )?(?:user|person|human|them)(?:'s)? (?:knowledge|knowing|noticing|consent|permission|approval))"
)
_PRIVATE: Final = (
    r"(?:~/\.\w+|id_rsa|\.ssh/|\.aws/|\.env\b|mcp\.json|/etc/(?:passwd|shadow)|(?:system|developer) prompt|"
    r"(?:conversation|chat|message) history|(?:entire|full|whole) (?:conversation|context)|"
    r"(?:all|any|other) (?:api keys|passwords|credentials|tokens))"
)
_PATTERNS: Final = {
    "an order to set aside other instructions": (
        rf"\b(?:ignore|disregard|forget|override|bypass|discard)\b{_GAP}\b(?:previous|prior|above|earlier|preceding|all|"
        rf"other|system|existing|your)\b{_GAP}\b(?:instruction|prompt|rule|message|guideline|directive|polic|safety)"
    ),
    "an order to hide something from the user": (
        rf"\b(?:do not|don't|dont|never|must not|without|avoid)\b[^.!?]{{0,20}}?\b(?:tell|telling|inform|informing|"
        rf"mention|mentioning|reveal|revealing|notify|notifying|alert|alerting|warn|warning|disclose|disclosing)\b[^.!?]{{0,30}}?"
        rf"\b(?:users?|humans?|persons?|people|any(?:one|body)|them)\b|\b{_SECRETLY}\b"
    ),
    "an order about the use of other tools": (
        r"\b(?:before|after|instead of|prior to|when(?:ever)?|each time|every time)\b[^.!?]{0,20}?"
        r"\b(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|run(?:ning)?|execut(?:e|ing))\b[^.!?]{0,12}?"
        r"\b(?:any|all|every|each|another|other)\b[^.!?]{0,20}?\btools?\b|"
        r"\b(?:other|all|any) tools? (?:must|should|are to|is to) (?:not )?(?:be )?(?:call|use|invoke|ignore|disable)|"
        r"\b(?:do not|don't|never) (?:use|call|invoke) (?:any |the )?other tools?\b"
    ),
    "a tag that poses as the system's": (
        r"<\s?/?\s?(?:important|system|system[-_]reminder|sys|secret|hidden|critical|override|instructions?)\b[^>]{0,60}>|"
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?inst\]|<</?sys>>|"
        r"^#{1,4} ?(?:system|new instructions)"
    ),
    "an order to change the model's role": (
        r"\b(?:you are now|pretend (?:to be|you are)|new instructions?:|developer mode|jailbreak|from now on,? you)\b"
    ),
    "an order to fetch or pass on what is private": (
        rf"\b(?:read|cat|open|send|include|pass|append|attach|put|paste|copy|forward|upload|post)\b[^!?]{{0,60}}?{_PRIVATE}"
    ),
}
_RULES: Final = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS.items())
#: Letters of other scripts that look like one of ours: whole words of theirs make none of the orders above.
_LOOKALIKES: Final = str.maketrans("авеорсухіјѕһӏԁԛԝкмнтοαεικνρτυχ", "abeopcyxijshldqwkmhtoaeiknptux")
_BLANKS: Final = re.compile(r"\s+")
_SHOWN: Final = 80


def orders(text: str) -> list[tuple[str, str]]:
    """Return kind and words of each order to the model in ``text``, one of each kind at most."""
    plain = _BLANKS.sub(" ", unicodedata.normalize("NFKC", bare(text))).lower().replace("\u2019", "'")
    if not plain.isascii():
        plain = plain.translate(_LOOKALIKES)
    found = ((kind, pattern.search(plain)) for kind, pattern in _RULES)
    return [(kind, match[0][:_SHOWN]) for kind, match in found if match is not None]
