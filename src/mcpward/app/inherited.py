"""The inheritance of a process that serves under ``--reload`` from the one that watches the files."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from mcpward.config.model import Settings
from mcpward.core.errors import Finding, Misconfigured


class Inherited(Struct, frozen=True):
    """Bound listeners, with the addresses that the settings had for them when they were bound.

    ``ready`` is the pipe on which :meth:`report` sends the result of the start. ``is_first`` if nothing was announced
    yet, ``parent`` is the process that watches.
    """

    listener: socket.socket
    metrics: socket.socket | None
    ready: int
    addresses: tuple[str, str]
    is_first: bool
    parent: int

    def require_same_addresses(self, settings: Settings) -> None:
        """Refuse settings that name other addresses.

        Raises:
            Misconfigured: they cannot be bound while the server goes on.
        """
        for key, bound, wanted in zip(
            ("site.listen", "site.metrics_listen"), self.addresses, addresses_of(settings), strict=True
        ):
            if bound != wanted:
                what = f"{key} is now {wanted or 'off'}, but the open address is {bound or 'none'}"
                hint = "stop mcpward serve --reload, and start it again"
                raise Misconfigured([Finding(what, settings.place(key), hint)])

    def report(self, text: str) -> None:
        """Report to the watching process: "ready", or the error."""
        with suppress(OSError):  # the parent has the result of the start already, or it has gone
            os.write(self.ready, text.encode()[:_LONGEST])


READY = "ready"
#: The number of bytes that a pipe takes at once.
_LONGEST = 4096


def addresses_of(settings: Settings) -> tuple[str, str]:
    """Return the two addresses as the settings have them, "" for none."""
    metrics = settings.site.metrics_address
    return str(settings.site.address), "" if metrics is None else str(metrics)


def arguments_of(inherited: Inherited) -> list[str]:
    """Write it as arguments of the process that is to get it, which has the same descriptors open."""
    metrics = -1 if inherited.metrics is None else inherited.metrics.fileno()
    numbers = [inherited.listener.fileno(), metrics, inherited.ready, inherited.parent, int(inherited.is_first)]
    return [*map(str, numbers), *inherited.addresses]


def read_arguments(words: Sequence[str]) -> Inherited:
    """Read what :func:`arguments_of` wrote."""
    listener, metrics, ready, parent, is_first = map(int, words[:5])
    return Inherited(
        listener=socket.socket(fileno=listener),
        metrics=None if metrics < 0 else socket.socket(fileno=metrics),
        ready=ready,
        addresses=(words[5], words[6]),
        is_first=bool(is_first),
        parent=parent,
    )


COUNT = 7
"""How many arguments those are."""
