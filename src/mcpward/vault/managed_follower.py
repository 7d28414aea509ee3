"""Keeps a worker's secrets in step with an external manager: all servers are read every ``refresh_s`` seconds.

In an outage the last values stay in use for ``keep_s``. After that they are withdrawn: a credential that was revoked
at the manager meanwhile must not be used for ever. The outage is in the log once when it begins and once when it ends.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct

from mcpward.core.clock import Clock
from mcpward.core.managed_secrets import ManagedSecrets
from mcpward.core.retry import Retry, doubling
from mcpward.vault.secret_source import SecretSource, SourceFailed

_log: Final = logging.getLogger("mcpward.secrets")
_AT_ONCE: Final = 8
_FIRST_PAUSE_S: Final = 1.0
_SHORTEST_S: Final = 0.05
#: A manager chooses the names of fields, and how many there are.
_MOST_TOLD: Final = 20
_LONGEST_NAME: Final = 100
HandOn = Callable[[str, ManagedSecrets], None]


class _RoundFailed(Exception):
    """Some servers' secrets could not be read; the text says which and why."""


class _Round(Struct):
    """One look at all servers: the problem of each that could not be read, and one that holds for the others too."""

    problems: dict[str, str]
    away: str = ""


class ManagedFollower:
    """Belongs to one event loop. ``hand_on`` is called with a server and its secrets whenever these have changed."""

    def __init__(
        self,
        source: SecretSource,
        servers: Iterable[str],
        hand_on: HandOn,
        clock: Clock,
        *,
        refresh_s: float,
        keep_s: float,
    ) -> None:
        self.failures = 0
        self._source = source
        self._hand_on = hand_on
        self._now = clock.monotonic
        self._refresh_s = refresh_s
        self._keep_s = keep_s
        self._present = dict.fromkeys(servers, ManagedSecrets())
        self._good_at: dict[str, float] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        pauses = doubling(min(_FIRST_PAUSE_S, refresh_s), refresh_s)
        self._outage = Retry(self._tell, _tell_over, pauses_s=pauses, cause_of=str)
        self._task: asyncio.Task[None] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the last look has read the secrets of every server."""
        return not self._outage.is_failing

    @property
    def present(self) -> Mapping[str, ManagedSecrets]:
        """What holds now, by server."""
        return self._present

    async def look(self) -> None:
        """Read all servers' secrets once. What cannot be read is logged, and raises nothing."""
        turn = _Round({})
        await asyncio.gather(*(self._look_at(server, turn) for server in self._present))
        if turn.problems:
            self.failures += 1
            self._outage.failed(_RoundFailed(_listed(turn.problems)))
        else:
            self._outage.succeeded()

    async def start(self) -> None:
        """Look again and again until :meth:`stop`. The first look comes after a pause: the start has had its own."""
        self._task = asyncio.create_task(self._follow(), name="managed-secrets")

    async def stop(self) -> None:
        """End at once: a manager that does not answer holds up no stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._pause_s())
            await self.look()

    def _pause_s(self) -> float:
        """Return the seconds to the next look: not beyond the moment at which values become too old."""
        if self.is_whole:
            return self._refresh_s
        ends = [self._good_at[server] + self._keep_s for server, one in self._present.items() if one.values]
        left = min((end - self._now() for end in ends), default=self._refresh_s)
        return min(self._outage.pause_s, max(left, _SHORTEST_S))

    async def _look_at(self, server: str, turn: _Round) -> None:
        async with self._slots:
            if turn.away:
                self._fail(server, turn, turn.away)
                return
            asked_at = self._now()  # a slow answer is as old as its question
            try:
                found = await self._source.read(server)
            except SourceFailed as failed:
                turn.away = failed.problem if failed.is_away else turn.away
                self._fail(server, turn, failed.problem)
            except Exception as error:  # noqa: BLE001 - whatever an answer provokes, the last values stay
                self._fail(server, turn, type(error).__name__)
            else:
                self._good_at[server] = asked_at
                _tell_unusable(server, found, self._present[server])
                self._keep(server, found)

    def _fail(self, server: str, turn: _Round, problem: str) -> None:
        turn.problems[server] = problem
        before, good_at = self._present[server], self._good_at.get(server)
        if good_at is None:
            self._keep(server, ManagedSecrets(away=problem))
        elif before.values and self._now() - good_at > self._keep_s:
            why = f"the secret manager has not returned it for more than {self._keep_s:g} s: {problem}"
            _log.error("the secrets of %s from the secret manager are too old, and are withdrawn: %s", server, problem)
            withdrawn = {**before.problems, **dict.fromkeys(before.values, why)}
            self._keep(server, ManagedSecrets(problems=withdrawn, version=before.version))

    def _keep(self, server: str, secrets: ManagedSecrets) -> None:
        if secrets != self._present[server]:
            self._present[server] = secrets
            self._hand_on(server, secrets)

    def _tell(self, error: Exception) -> None:
        has_values = any(one.values for one in self._present.values())
        rest = f"; its last values stay in use for {self._keep_s:g} s" if has_values else ""
        _log.warning("the secret manager cannot be read for %s%s", error, rest)


def _tell_over() -> None:
    _log.info("the secret manager can be read again")


def _tell_unusable(server: str, found: ManagedSecrets, before: ManagedSecrets) -> None:
    news = [(name, problem) for name, problem in found.problems.items() if before.problems.get(name) != problem]
    for name, problem in news[:_MOST_TOLD]:
        named = ascii(name[:_LONGEST_NAME])
        _log.warning("the secret %s of %s in the secret manager cannot be used: %s", named, server, problem)
    if len(news) > _MOST_TOLD:
        rest = len(news) - _MOST_TOLD
        _log.warning("%d more secrets of %s in the secret manager cannot be used", rest, server)


def _listed(problems: Mapping[str, str]) -> str:
    """Return the servers by what is wrong: ``orders, shop: it refuses the token (403)``."""
    by_problem: dict[str, list[str]] = {}
    for server, problem in problems.items():
        by_problem.setdefault(problem, []).append(server)
    return "; ".join(f"{', '.join(sorted(servers))}: {problem}" for problem, servers in sorted(by_problem.items()))
