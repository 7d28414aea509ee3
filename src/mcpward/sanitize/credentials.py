"""Credentials by their form, in texts that are about to be shown: for those that mcpward does not know.

Known secrets are taken out by value, see ``redact.py``. This is for exception texts of foreign code, which may hold
what that code read by itself.
"""

import os
import re
from collections.abc import Mapping
from typing import Final

from mcpward.core.secret import Secret

_MASK: Final = "[redacted]"
#: The user's part of a URL, to the last "@": drivers take passwords with "/" and "@" in them, which the RFC 3986 would
#: have escaped; what is said to be a secret, but not the "…" of a hint; a token by its issuer's prefix, or
#: a JWT.
_USER: Final = re.compile(r"""(?<=://)[^\s"'`]*@""")
_NAMED: Final = re.compile(
    r"""(?ix) (\b[\w-]*(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key|authorization|credential)[\w-]*
    ["']? \s* [=:] \s* (?:(?:bearer|basic)\s+)? ["']?) (?!…(?:[\s,;]|$)) [^\s"'&,;)\]}]+"""
)
_TOKEN: Final = re.compile(
    r"\b(?:(?:sk|pk|rk|xox[a-z]|gh[a-z]|glpat|pat|whsec)[-_][A-Za-z0-9_-]{8,}|AKIA[A-Z0-9]{12,}|eyJ[\w-]+\.[\w-]+\.[\w-]*)"
)
#: Variables that say where things are and in which language. All others may hold a credential.
_PLAIN: Final = frozenset({
    "CWD", "EDITOR", "HOME", "HOSTNAME", "LANG", "LANGUAGE", "LOGNAME", "OLDPWD", "PATH", "PWD", "PYTHONPATH", "SHELL",
    "TERM", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "_",
})  # fmt: skip
_PLAIN_PREFIXES: Final = ("LC_", "XDG_", "CONDA_", "PYENV_", "SSH_", "PIP_", "UV_", "NVM_")


def masked(text: str) -> str:
    """Return ``text`` without what looks like a credential."""
    text = _USER.sub(f"{_MASK}@", text)
    text = _NAMED.sub(rf"\1{_MASK}", text)
    return _TOKEN.sub(_MASK, text)


def of_environment(environ: Mapping[str, str] | None = None) -> list[Secret]:
    """Return the values of the environment that may be credentials: all but places and the language."""
    variables = os.environ if environ is None else environ
    return [
        Secret(value, name)
        for name, value in variables.items()
        if value
        and name not in _PLAIN
        and not name.startswith(_PLAIN_PREFIXES)
        and not value.startswith(("/", "./", "~"))
    ]
