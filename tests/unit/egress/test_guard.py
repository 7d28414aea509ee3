import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from mcpward.egress.failures import EgressFailed, EgressRefused, Failure
from mcpward.egress.guard import Guard

PUBLIC, PUBLIC_6 = "93.184.215.14", "2606:2800:21f:cb07::1"


def guard(*answers: str, allow: Sequence[str] = ()) -> Guard:
    async def look_up(host: str, port: int) -> Sequence[str]:
        return answers

    return Guard([ip_network(text) for text in allow], look_up)


async def refused(guard: Guard, host: str = "id.example", *, is_plain: bool = False) -> EgressRefused:
    with pytest.raises(EgressRefused) as caught:
        await guard.resolve(host, 443, is_plain=is_plain)
    return caught.value


async def test_the_answers_are_given_in_their_order_and_once() -> None:
    found = await guard(PUBLIC_6, PUBLIC, PUBLIC_6).resolve("id.example", 443)
    assert found == [ip_address(PUBLIC_6), ip_address(PUBLIC)]


async def test_a_slow_resolver_has_one_question_for_a_name_however_many_ask_and_give_up() -> None:
    asked: list[str] = []
    slow = asyncio.Event()

    async def look_up(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        if host == "slow.example":
            await slow.wait()
        return [PUBLIC]

    shared = Guard([], look_up)
    for _ in range(3):
        crowd = [asyncio.create_task(shared.resolve("slow.example", 443)) for _ in range(8)]
        await asyncio.sleep(0)
        for one in crowd[:4]:
            one.cancel()
        await asyncio.wait(crowd[:4])
        assert await shared.resolve("fast.example", 443)
    assert asked.count("slow.example") == 1
    last = asyncio.create_task(shared.resolve("slow.example", 443))
    slow.set()
    assert await last == await asyncio.wait_for(crowd[7], 5) == [ip_address(PUBLIC)]
    await shared.resolve("slow.example", 443)
    assert asked.count("slow.example") == 2  # an answer is for those who waited for it, and not kept


async def test_80_one_bad_answer_among_good_ones_refuses_all() -> None:
    for answers in ([PUBLIC, "10.0.0.1"], ["::1", PUBLIC_6], [PUBLIC, PUBLIC_6, "::ffff:127.0.0.1"]):
        assert (await refused(guard(*answers))).why is Failure.ADDRESS_REFUSED


async def test_80_an_address_in_the_url_is_judged_without_a_question() -> None:
    strict = guard(PUBLIC)
    for host in ("127.0.0.1", "::1", "169.254.169.254", "::ffff:7f00:1", "fe80::1", "0.0.0.0"):
        assert (await refused(strict, host)).why is Failure.ADDRESS_REFUSED
    assert await strict.resolve("1.1.1.1", 443) == [ip_address("1.1.1.1")]


@pytest.mark.parametrize("host", ["0x7f.1", "127.1", "0177.0.0.1", "fe80::1%lo", "", "a b", "\u212aelvin", "ⓛocalhost"])
async def test_80_another_spelling_is_never_asked_for(host: str) -> None:
    assert (await refused(guard(PUBLIC), host)).why is Failure.HOST_REFUSED


async def test_an_allowed_network_may_be_called_and_the_one_beside_it_not() -> None:
    home = ("10.1.0.0/16", "fd00:1::/32")
    assert await guard("10.1.2.3", "fd00:1::5", allow=home).resolve("id.example", 443)
    assert (await refused(guard("10.2.0.1", allow=home))).why is Failure.ADDRESS_REFUSED
    assert (await refused(guard("fd00:2::1", allow=home))).why is Failure.ADDRESS_REFUSED


async def test_without_tls_only_an_allowed_network_is_called() -> None:
    assert (await refused(guard(PUBLIC), is_plain=True)).why is Failure.PLAIN_REFUSED
    assert (await refused(guard("10.1.2.3", PUBLIC, allow=["10.0.0.0/8"]), is_plain=True)).why is Failure.PLAIN_REFUSED
    assert (await refused(guard("10.1.2.3"), is_plain=True)).why is Failure.ADDRESS_REFUSED
    assert await guard("10.1.2.3", allow=["10.0.0.0/8"]).resolve("id.example", 80, is_plain=True)
    assert await guard(PUBLIC, allow=[f"{PUBLIC}/32"]).resolve("id.example", 80, is_plain=True)


async def test_80_allowing_what_wraps_does_not_allow_what_is_wrapped() -> None:
    nat64 = ["64:ff9b::/96"]
    assert await guard("64:ff9b::93.184.215.14", allow=nat64).resolve("id.example", 443)
    assert (await refused(guard("64:ff9b::169.254.169.254", allow=nat64))).why is Failure.ADDRESS_REFUSED
    assert (await refused(guard("64:ff9b::10.0.0.1", allow=nat64))).why is Failure.ADDRESS_REFUSED
    assert await guard("64:ff9b::10.0.0.1", allow=[*nat64, "10.0.0.0/8"]).resolve("id.example", 443)
    assert (await refused(guard("::ffff:10.0.0.1", allow=["10.0.0.0/8"]))).why is Failure.ADDRESS_REFUSED


async def test_80_a_network_that_is_allowed_does_not_hand_out_credentials() -> None:
    link = ["169.254.0.0/16", "fd00::/8", "100.64.0.0/10"]
    for metadata in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200"):
        assert (await refused(guard(metadata, allow=link))).why is Failure.ADDRESS_REFUSED
    assert await guard("169.254.169.254", allow=["169.254.169.254/32"]).resolve("id.example", 80, is_plain=True)


async def test_more_answers_than_anybody_needs_are_refused() -> None:
    many = [f"1.1.1.{number}" for number in range(33)]
    assert (await refused(guard(*many))).why is Failure.ADDRESS_REFUSED
    assert len(await guard(*many[1:]).resolve("id.example", 443)) == 32


@pytest.mark.parametrize("error", [socket.gaierror(-2, "unknown"), TimeoutError(), UnicodeError("label too long")])
async def test_a_name_without_an_address_is_a_failure_and_no_refusal(error: Exception) -> None:
    async def look_up(host: str, port: int) -> Sequence[str]:
        raise error

    with pytest.raises(EgressFailed) as caught:
        await Guard((), look_up).resolve("id.example", 443)
    assert caught.value.why is Failure.UNRESOLVED


@pytest.mark.parametrize("answers", [(), ("nonsense",)])
async def test_no_answer_and_one_that_is_none_are_failures(answers: tuple[str, ...]) -> None:
    with pytest.raises(EgressFailed):
        await guard(*answers).resolve("id.example", 443)


async def test_the_machines_resolver_is_asked_for_both_families() -> None:
    with pytest.raises(EgressRefused):
        await Guard().resolve("localhost", 80)
    found = await Guard([ip_network("127.0.0.0/8"), ip_network("::1/128")]).resolve("localhost", 80)
    assert set(map(str, found)) <= {"127.0.0.1", "::1"}


async def test_a_refusal_speaks_its_word_alone() -> None:
    refusal = await refused(guard("10.9.8.7"))
    assert str(refusal) == "address-refused"
    assert "10.9.8.7" not in repr(refusal)
    assert "id.example is at 10.9.8.7" in refusal.detail
