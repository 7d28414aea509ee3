"""Other accounts that may read the site's file although it holds a password (attack 93)."""

import stat
from pathlib import Path

from mcpward.config.environ import variable_of
from mcpward.config.load import Loaded
from mcpward.config.masked import masked
from mcpward.config.schema_paths import every_key
from mcpward.config.writers import is_of_one
from mcpward.core.errors import Finding


def readable_secrets(loaded: Loaded, file: Path | None) -> list[Finding]:
    """Return a finding for each setting of the file that holds a password, if other users may read the file."""
    if file is None or not _may_others_read(file):
        return []
    findings: list[Finding] = []
    for key in every_key():
        origin = loaded.origins.get(key.dotted)
        value = _value(loaded, key.path)
        if key.is_secret and origin is not None and origin.layer == "file" and masked(value) != value:
            what = f"other users can read {key.dotted}, which holds a password"
            findings.append(Finding(what, origin.where, f"chmod 600 {file}, or set {variable_of(key)}_FILE"))
    return findings


def _may_others_read(file: Path) -> bool:
    try:
        state = file.stat()
    except OSError:  # loading it reports that
        return False
    if state.st_mode & stat.S_IROTH:
        return True
    return bool(state.st_mode & stat.S_IRGRP) and not is_of_one(state.st_uid, state.st_gid)


def _value(loaded: Loaded, path: tuple[str, ...]) -> str:
    value: object = loaded.settings
    for part in path:
        value = getattr(value, part, "")
    return str(value)
