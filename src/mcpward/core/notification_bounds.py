"""How long the text of a progress or log notification may be: it is cut only after its secrets are redacted."""

from typing import Final

LONGEST: Final = 8_192
"""Characters of the text as it leaves."""
MARGIN: Final = 131_072
"""Characters beyond, for the redaction to see: the longest secret, 64 KiB, in hexadecimal. A secret that is cut before
it is redacted would leave in part.
"""
LONGEST_READ: Final = LONGEST + MARGIN
"""Characters of the text before redaction. Of a text of this length the last ``MARGIN`` may be a part of a secret."""
