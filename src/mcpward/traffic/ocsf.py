"""A row of the record as an event of the Open Cybersecurity Schema Framework: class 6003, API Activity, version 1.3.0.

Required there (schema.ocsf.io, API Activity): ``activity_id``, ``actor``, ``api`` with its ``operation``,
``category_uid``, ``class_uid``, ``metadata`` with ``product`` and ``version``, ``severity_id``, ``src_endpoint``,
``time`` and ``type_uid``. Columns without an attribute of their own go into ``unmapped`` under their names.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final

from mcpward import __version__
from mcpward.traffic.act import ACT, WAY
from mcpward.traffic.chain import GAP
from mcpward.traffic.share import CREDENTIAL

VERSION: Final = "1.3.0"
CLASS: Final = 6003
_CATEGORY: Final = 6
_CREATE, _READ, _UPDATE, _DELETE, _OTHER = 1, 2, 3, 4, 99
_ACTIVITY: Final = {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete"}
_SEVERITY: Final = {1: "Informational", 2: "Low", 3: "Medium", 4: "High"}
_STATUS: Final = {1: "Success", 2: "Failure"}
#: ``type_id`` of the user and its caption.
_USERS: Final = {WAY: (2, "Admin"), "anonymous": (0, "Unknown"), "unlisted": (0, "Unknown")}
_USER: Final = (1, "User")
_READS: Final = ("/list", "/read", "/get", "/complete", "/discover")
_UNMAPPED: Final = (
    "seq", "chain", "phase", "outcome", "era", "way", "trace", "consent", "limit_name", "would_refuse", "error_id",
    "bytes_in", "bytes_out",
)  # fmt: skip
Row = Mapping[str, Any]


def event(row: Row) -> dict[str, Any]:
    """Return the event. Members that would be null are left out."""
    activity, severity, status = _activity(row), _severity(row), _status(row)
    operation = " ".join(part for part in (row["method"] or row["phase"], row["tool"]) if part)
    name = _ACTIVITY.get(activity, operation)
    made: dict[str, Any] = {
        "metadata": _metadata(row),
        "category_uid": _CATEGORY,
        "category_name": "Application Activity",
        "class_uid": CLASS,
        "class_name": "API Activity",
        "activity_id": activity,
        "activity_name": name,
        "type_uid": CLASS * 100 + activity,
        "type_name": f"API Activity: {_ACTIVITY.get(activity, 'Other')}",
        "time": _ms(row["at"]),
        "severity_id": severity,
        "severity": _SEVERITY[severity],
        "status_id": status,
        "status": _STATUS.get(status, row["outcome"] or row["phase"]),
        "status_code": row["reason"],
        "status_detail": row["detail"],
        "message": _message(row, operation),
        "duration": None if row["duration_us"] is None else row["duration_us"] // 1000,
        "count": row["count"],
        "start_time": _ms(row["at"]) if row["count"] is not None else None,
        "end_time": None if row["last_at"] is None else _ms(row["last_at"]),
        "actor": _actor(row),
        "api": _api(row, operation),
        "src_endpoint": _source(row),
        "resources": _resources(row),
        "unmapped": _present({column: row[column] for column in _UNMAPPED}),
    }
    return _present(made)


def _metadata(row: Row) -> dict[str, Any]:
    return {
        "version": VERSION,
        "product": {"name": "mcpward", "vendor_name": "mcpward", "version": __version__},
        "uid": f"{row['id']}-{row['seq']}",  # an intent and what became of it are two events
        "correlation_uid": row["id"],
        "log_name": "acts" if row["phase"] == ACT else "traffic",
        "original_time": datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="milliseconds"),
    }


def _actor(row: Row) -> dict[str, Any]:
    """Return the actor; at least one of a user's name and uid is required."""
    type_id, kind = _USERS.get(row["way"], _USER) if row["way"] else (0, "Unknown")
    name = row["principal"] if row["phase"] == ACT else row["client"]
    user = {
        "uid": row["principal"],
        "name": name or (None if row["principal"] else "unknown"),
        "type_id": type_id,
        "type": kind,
        "credential_uid": row["key_id"] if row["phase"] != ACT else None,
    }
    actor = {"user": _present(user)}
    if row["phase"] == ACT and row["client"]:
        actor["session"] = {"terminal": row["client"]}
    return actor


def _api(row: Row, operation: str) -> dict[str, Any]:
    message = row["detail"] if row["reason"] else None
    response = {"code": row["status"], "error": row["reason"], "error_message": message}
    request = {"uid": row["id"], "data": None if row["arguments"] is None else _data(row["arguments"])}
    api = {
        "operation": operation,
        "version": row["version"],
        "service": None if row["server"] is None else {"name": row["server"]},
        "request": _present(request),
        "response": _present(response),
    }
    return _present(api)


def _data(text: str) -> Any:
    """Return arguments as JSON; those that were cut are none any more, and are kept as their text."""
    try:
        found = json.loads(text)
    except ValueError:
        return {"text": text}
    return found if isinstance(found, dict) else {"value": found}


def _source(row: Row) -> dict[str, str]:
    """Return where it came from; a network or several addresses are no ``ip``."""
    peer = row["peer"]
    if peer is None:
        host = str(row["principal"]).rpartition("@")[2] if row["phase"] == ACT else ""
        return {"hostname": host} if host else {"name": "several" if row["count"] is not None else "unknown"}
    try:
        ip_address(peer)
    except ValueError:
        return {"name": peer}
    return {"ip": peer}


def _resources(row: Row) -> list[dict[str, Any]] | None:
    if row["phase"] == ACT:
        told = _data(row["arguments"] or "{}")
        return [{"name": str(told.get("object", "")), "type": "object", "data": told}]
    return [{"name": row["tool"], "type": "tool"}] if row["tool"] else None


def _activity(row: Row) -> int:
    method = row["method"] or ""
    if row["phase"] == ACT and method.endswith("export"):
        return _READ
    if row["phase"] == ACT:
        told = _data(row["arguments"] or "{}")
        has = bool(told.get("before")), bool(told.get("after"))
        return {(False, True): _CREATE, (True, True): _UPDATE, (True, False): _DELETE}.get(has, _OTHER)
    return _READ if method.endswith(_READS) else _OTHER


def _severity(row: Row) -> int:
    if row["phase"] == GAP:
        return 4
    if row["outcome"] == "fault" or row["reason"] in CREDENTIAL or row["reason"] == "argument-dangerous":
        return 3
    return 2 if row["outcome"] in {"refused", "error"} else 1


def _status(row: Row) -> int:
    if row["outcome"] == "ok":
        return 1
    return 2 if row["outcome"] in {"refused", "error", "fault", "cancelled"} or row["phase"] == GAP else _OTHER


def _message(row: Row, operation: str) -> str:
    if row["phase"] in {ACT, GAP}:
        return str(row["detail"] or operation)
    return f"{operation}: {row['reason'] or row['outcome']}"


def _ms(at: float) -> int:
    return int(at * 1000)


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
