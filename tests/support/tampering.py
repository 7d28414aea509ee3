"""Ways to change a record behind mcpward's back, as an attacker who can write the files but has no master key.

Each takes the site's folder and a generator, does one thing, and returns what ``mcpward log verify`` must say of it:
the kind, and the ``seq`` of the record that it names, where that is one certain record.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from mcpward.storage.traffic import COLUMNS
from mcpward.traffic.chain import CHAINS

DATA = ".mcpward"
#: A copy of the data from an earlier moment, made by the fixture that builds the site.
EARLIER = "earlier"
Expected = tuple[str | None, int | None]
Tamper = Callable[[Path, random.Random], Expected]
_NUMBERS = ("status", "bytes_in", "bytes_out", "duration_us")


def database(folder: Path) -> Path:
    return folder / DATA / "mcpward.db"


def mark(folder: Path) -> Path:
    return folder / DATA / "record.mark"


def run(folder: Path, *statements: tuple[Any, ...] | str) -> list[Any]:
    """Run statements on the site's database, all in one transaction; return the rows of the last."""
    rows: list[Any] = []
    with closing(sqlite3.connect(database(folder))) as connection:
        for one in statements:
            sql, *values = one if isinstance(one, tuple) else (one,)
            rows = connection.execute(sql, values).fetchall()
        connection.commit()
    return rows


def kept(folder: Path) -> list[tuple[int, str, int]]:
    """Seq, chain and position of every record that has a code, oldest first."""
    return run(folder, "SELECT seq, chain, pos FROM traffic WHERE mac IS NOT NULL ORDER BY seq")


def _one(folder: Path, luck: random.Random) -> tuple[int, str, int]:
    return luck.choice(kept(folder))


def _next(folder: Path, chain: str, pos: int) -> int | None:
    rows = run(folder, ("SELECT seq FROM traffic WHERE chain = ? AND pos > ? ORDER BY pos LIMIT 1", chain, pos))
    return rows[0][0] if rows else None


def change_a_value(folder: Path, luck: random.Random) -> Expected:
    seq, _, _ = _one(folder, luck)
    column = luck.choice([name for name in COLUMNS if name != "chain"])
    (before,) = run(folder, (f"SELECT {column} FROM traffic WHERE seq = ?", seq))[0]
    after: Any = luck.choice([7, None]) if column in _NUMBERS else luck.choice(["x", "", "ok", None])
    if column == "at":
        after = before + 1.0
    if after == before or (after is None and column in ("id", "phase")):
        after = 12345 if column in _NUMBERS else "forged"
    run(folder, (f"UPDATE traffic SET {column} = ? WHERE seq = ?", after, seq))
    return "changed", seq


def change_a_type(folder: Path, luck: random.Random) -> Expected:
    """The same value to every reader, another value to the database."""
    seq, _, _ = _one(folder, luck)
    change = luck.choice(
        [
            "status = CAST(CAST(status AS TEXT) AS BLOB)",
            "detail = CASE WHEN detail IS NULL THEN '' END",
            "phase = CAST(phase AS BLOB)",
            "peer = CAST(X'ff' || peer AS TEXT)",
            "arguments = CASE WHEN arguments IS NULL THEN 'null' END",
            "bytes_in = bytes_in + 0.5",
        ]
    )
    ((changes,),) = run(folder, (f"UPDATE traffic SET {change} WHERE seq = ?", seq), "SELECT changes()")
    assert changes == 1
    return "changed", seq


def remove_some(folder: Path, luck: random.Random) -> Expected:
    _, chain, pos = _one(folder, luck)
    last = pos + luck.randrange(3)
    run(folder, ("DELETE FROM traffic WHERE chain = ? AND pos BETWEEN ? AND ?", chain, pos, last))
    return "removed", _next(folder, chain, last)


def remove_the_oldest(folder: Path, luck: random.Random) -> Expected:
    chain = luck.choice(CHAINS)
    first = min(pos for _, of, pos in kept(folder) if of == chain)
    last = first + luck.randrange(5)
    run(folder, ("DELETE FROM traffic WHERE chain = ? AND pos <= ?", chain, last))
    return "removed", _next(folder, chain, last)


def remove_the_newest(folder: Path, luck: random.Random) -> Expected:
    run(
        folder,
        ("DELETE FROM traffic WHERE seq IN (SELECT seq FROM traffic ORDER BY seq DESC LIMIT ?)", luck.randint(1, 40)),
    )
    return "removed", None


def remove_and_renumber(folder: Path, luck: random.Random) -> Expected:
    seq, chain, pos = _one(folder, luck)
    following = _next(folder, chain, pos)
    run(
        folder,
        ("DELETE FROM traffic WHERE seq = ?", seq),
        ("UPDATE traffic SET pos = pos - 1 WHERE chain = ? AND pos > ?", chain, pos),
    )
    return ("removed", None) if following is None else ("changed", following)


def remove_all(folder: Path, luck: random.Random) -> Expected:
    run(folder, "DELETE FROM traffic")
    return "removed", None


def drop_a_table(folder: Path, luck: random.Random) -> Expected:
    run(folder, f"DROP TABLE {luck.choice(['traffic', 'traffic_state'])}")
    return "removed", None


def _insert(folder: Path, seq: int, like: int, **changes: Any) -> None:
    names = [*COLUMNS, "pos", "mac"]
    chosen = ", ".join("?" if name in changes else name for name in names)
    given = [changes[name] for name in names if name in changes]
    run(folder, (f"INSERT INTO traffic (seq, {', '.join(names)}) SELECT ?, {chosen} FROM traffic WHERE seq = ?",
                 seq, *given, like))  # fmt: skip


def duplicate(folder: Path, luck: random.Random) -> Expected:
    seq, _, _ = _one(folder, luck)
    last = kept(folder)[-1][0]
    _insert(folder, last + luck.randint(1, 9), seq)
    return "added", None


def append_one(folder: Path, luck: random.Random) -> Expected:
    last, _, pos = kept(folder)[-1]
    _insert(folder, last + 1, last, pos=pos + 1, id="forged")
    return "added", last + 1


def add_without_a_code(folder: Path, luck: random.Random) -> Expected:
    seq, _, _ = _one(folder, luck)
    last = kept(folder)[-1][0]
    _insert(folder, last + 1, seq, pos=None, mac=None, id="forged")
    return "added", last + 1


def take_the_code_away(folder: Path, luck: random.Random) -> Expected:
    seq, _, _ = _one(folder, luck)
    run(folder, ("UPDATE traffic SET pos = NULL, mac = NULL WHERE seq = ?", seq))
    return "changed", seq


def swap_two(folder: Path, luck: random.Random) -> Expected:
    (one, _, _), (other, _, _) = luck.sample(kept(folder), 2)
    run(
        folder,
        ("UPDATE traffic SET seq = -1 WHERE seq = ?", one),
        ("UPDATE traffic SET seq = ? WHERE seq = ?", one, other),
        ("UPDATE traffic SET seq = ? WHERE seq = -1", other),
    )
    return None, None


def swap_what_two_say(folder: Path, luck: random.Random) -> Expected:
    (one, _, _), (other, _, _) = luck.sample(kept(folder), 2)
    ids = dict(run(folder, ("SELECT seq, id FROM traffic WHERE seq IN (?, ?)", one, other)))
    run(
        folder,
        ("UPDATE traffic SET id = ? WHERE seq = ?", ids[other], one),
        ("UPDATE traffic SET id = ? WHERE seq = ?", ids[one], other),
    )
    return "changed", min(one, other)


def move_to_the_other_chain(folder: Path, luck: random.Random) -> Expected:
    seq, chain, _ = _one(folder, luck)
    run(folder, ("UPDATE traffic SET chain = ? WHERE seq = ?", luck.choice([*(set(CHAINS) - {chain}), "other"]), seq))
    return None, None


def renumber_one(folder: Path, luck: random.Random) -> Expected:
    seq, _, _ = _one(folder, luck)
    run(folder, ("UPDATE traffic SET seq = ? WHERE seq = ?", kept(folder)[-1][0] + 5, seq))
    return None, None


def change_a_code(folder: Path, luck: random.Random) -> Expected:
    seq, _, _ = _one(folder, luck)
    run(folder, ("UPDATE traffic SET mac = ? WHERE seq = ?", luck.randbytes(16), seq))
    return "changed", seq


def change_the_state(folder: Path, luck: random.Random) -> Expected:
    ((blob,),) = run(folder, "SELECT sealed FROM traffic_state")
    at = luck.randrange(len(blob))
    forged = blob[:at] + bytes([blob[at] ^ (1 << luck.randrange(8))]) + blob[at + 1 :]
    run(folder, ("UPDATE traffic_state SET sealed = ?", forged))
    return "state", None


def remove_the_state(folder: Path, luck: random.Random) -> Expected:
    run(folder, "DELETE FROM traffic_state")
    return "state", None


def bring_back_an_earlier_state(folder: Path, luck: random.Random) -> Expected:
    with closing(sqlite3.connect(folder / EARLIER / "mcpward.db")) as connection:
        ((blob,),) = connection.execute("SELECT sealed FROM traffic_state").fetchall()
    run(folder, ("UPDATE traffic_state SET sealed = ?", blob))
    return None, None


def bring_back_an_earlier_database(folder: Path, luck: random.Random) -> Expected:
    for suffix in ("", "-wal", "-shm"):
        database(folder).with_name(f"mcpward.db{suffix}").unlink(missing_ok=True)
    shutil.copy(folder / EARLIER / "mcpward.db", database(folder))
    return "removed", None


def remove_the_mark(folder: Path, luck: random.Random) -> Expected:
    mark(folder).unlink()
    return "mark", None


def empty_the_mark(folder: Path, luck: random.Random) -> Expected:
    mark(folder).write_bytes(luck.randbytes(luck.choice([0, 100, 8192])))
    return "mark", None


TAMPERS: tuple[Tamper, ...] = (
    change_a_value, change_a_type, remove_some, remove_the_oldest, remove_the_newest, remove_and_renumber, remove_all,
    drop_a_table, duplicate, append_one, add_without_a_code, take_the_code_away, swap_two, swap_what_two_say,
    move_to_the_other_chain, renumber_one, change_a_code, change_the_state, remove_the_state,
    bring_back_an_earlier_state, bring_back_an_earlier_database, remove_the_mark, empty_the_mark,
)  # fmt: skip
