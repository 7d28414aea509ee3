"""Addresses are held from the first moment, and take connections only once they listen."""

import socket
from contextlib import closing

import pytest

from mcpward.app.listeners import bind, bind_metrics, is_listening, listen
from mcpward.config.address import Address
from mcpward.config.model import Site
from mcpward.core.errors import Unreachable
from support.ports import free_port

HERE = "127.0.0.1"


def connects(port):
    with closing(socket.socket()) as line:
        return line.connect_ex((HERE, port)) == 0


def test_a_bound_address_refuses_connections_until_it_listens():
    with bind(Address(HERE, 0)) as listener:
        port = listener.getsockname()[1]
        assert not connects(port)
        assert not is_listening(listener)
        listen(listener)
        assert is_listening(listener)
        assert connects(port)


@pytest.mark.parametrize("host", [HERE, "0.0.0.0"])
@pytest.mark.parametrize("listens", [False, True])
def test_nobody_else_binds_it_meanwhile_with_or_without_the_option_to_reuse(host, listens):
    with bind(Address(HERE, 0)) as listener:
        if listens:
            listen(listener)
        port = listener.getsockname()[1]
        with pytest.raises(Unreachable, match="Address already in use") as refused:
            bind(Address(host, port))
        assert "is it being served already? choose another port (" in refused.value.hint
        with closing(socket.socket()) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="Address already in use"):
                other.bind((host, port))


def test_connections_that_linger_keep_no_restart_from_the_port():
    with bind(Address(HERE, 0)) as listener:
        listen(listener)
        port = listener.getsockname()[1]
        with socket.create_connection((HERE, port)) as line:
            accepted, _ = listener.accept()
            accepted.close()  # first, so that the connection lingers on this side (TIME_WAIT)
            assert line.recv(1) == b""
    with bind(Address(HERE, port)) as again:
        with pytest.raises(Unreachable):
            bind(Address(HERE, port))
        listen(again)
        assert connects(port)


def test_metrics_that_nobody_set_move_to_the_next_free_port_and_others_do_not():
    default = free_port(above=3)
    site = Site.model_construct(metrics_listen=f"{HERE}:{default}")
    unset = site.model_copy()
    unset.model_fields_set.clear()
    first, second = bind_metrics(unset), bind_metrics(unset)
    assert first is not None
    assert second is not None
    with first, second:
        assert [one.getsockname()[1] for one in (first, second)] == [default, default + 1]
        with pytest.raises(Unreachable):
            bind_metrics(site)
    assert bind_metrics(Site(metrics_listen="")) is None
