"""A cluster: the node that has the site's slot may change, and may die."""

import asyncio
import time

import pytest

from mcpward.limits.rates.shared_port import StoreDown
from support.drains import draw, passes, passing, quota, rate, until_up
from support.redis import RedisCluster
from support.waiting import soon

KEY = b"{test}clock"


@pytest.fixture
def with_replicas(tmp_path):
    cluster = RedisCluster(tmp_path / "six", replicas=True)
    try:
        yield cluster.start()
    finally:
        cluster.kill()


def all_replicated(cluster, owner) -> bool:
    """Whether the replica of a node has all that the node has."""
    with owner.client() as client:
        written = client.info("replication")["master_repl_offset"]
    for node in cluster.nodes:
        with node.client() as client:
            told = client.info("replication")
        if told["role"] == "slave" and told["master_port"] == owner.port:
            return told["slave_repl_offset"] >= written
    return False


async def test_any_node_leads_to_the_one_that_has_the_slot(redis_cluster, join):
    each = [await join(node.url) for node in redis_cluster.nodes]
    assert all(counters.is_up for counters in each)
    told = await asyncio.gather(*(passing(counters, 40, draw(rate(50))) for counters in each))
    assert sum(told) == 50
    owner = redis_cluster.owner(KEY)
    assert [bool(node.keys()) for node in redis_cluster.nodes] == [node is owner for node in redis_cluster.nodes]


async def test_a_slot_that_moves_is_followed_and_nothing_is_lost(redis_cluster, join):
    counters, late = await join(redis_cluster.url), await join(redis_cluster.url)
    assert await passing(counters, 30, draw(rate(50)), draw(quota(100))) == 30
    owner = redis_cluster.owner(KEY)
    heir = next(node for node in redis_cluster.nodes if node is not owner)
    move(redis_cluster, owner, heir)
    told = await asyncio.gather(passing(counters, 30, draw(rate(50))), passing(late, 30, draw(rate(50))))
    assert sum(told) == 20
    assert counters.store.failures == 0
    assert heir.keys()


async def test_calls_in_flight_while_the_slot_moves_are_told_one_way_or_the_other(redis_cluster, join):
    counters = await join(redis_cluster.url, timeout_s=0.5)
    passed, down = 0, 0

    async def ask():
        nonlocal passed, down
        try:
            has_passed = await passes(counters, draw(rate(200)))
        except StoreDown:
            down += 1
        else:
            passed += has_passed

    async def flood():
        for _ in range(60):
            await asyncio.gather(*(ask() for _ in range(5)))
            await asyncio.sleep(0.002)

    flooding = asyncio.create_task(flood())
    await soon(lambda: passed >= 20)
    owner = redis_cluster.owner(KEY)
    heir = next(node for node in redis_cluster.nodes if node is not owner)
    await asyncio.to_thread(move, redis_cluster, owner, heir)
    await flooding
    assert passed <= 200
    assert passed + down >= 200
    await until_up(counters)
    # A call that got the answer "down" may have been taken all the same; none was taken twice.
    assert 200 - passed - down <= await passing(counters, 300, draw(rate(200))) <= 200 - passed


async def test_while_a_slot_is_between_two_nodes_the_calls_concerned_are_told_and_the_store_is_up(redis_cluster, join):
    told: list[tuple[bool, str]] = []
    counters = await join(redis_cluster.url, told=told)
    assert await passes(counters, draw(rate(50)))
    owner = redis_cluster.owner(KEY)
    heir = next(node for node in redis_cluster.nodes if node is not owner)
    slot = owner.run("CLUSTER", "KEYSLOT", KEY)
    heir.run("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.run("CLUSTER", "MYID"))
    owner.run("CLUSTER", "SETSLOT", slot, "MIGRATING", heir.run("CLUSTER", "MYID"))
    for n in range(5):
        with pytest.raises(StoreDown, match=r"ASK|TRYAGAIN"):
            await counters.take([draw(rate(50), f"api-key:{n}")])
    assert counters.is_up
    assert [up for up, _ in told] == [True]
    for node in redis_cluster.nodes:
        node.run("CLUSTER", "SETSLOT", slot, "STABLE")
    assert await passing(counters, 60, draw(rate(50))) == 49


@pytest.mark.slow
async def test_a_node_that_dies_is_replaced_by_its_replica(with_replicas, join):
    # Only one node is named: the others are learnt from it.
    owner = with_replicas.owner(KEY)
    counters = await join(owner.url, timeout_s=0.3)
    assert await passing(counters, 30, draw(rate(50))) == 30
    await soon(lambda: all_replicated(with_replicas, owner))
    owner.kill()
    began = time.monotonic()
    with pytest.raises(StoreDown):
        await counters.take([draw(rate(50))])
    assert time.monotonic() - began < 0.7
    await until_up(counters, 20)
    assert await passing(counters, 60, draw(rate(50))) == 20


async def test_a_cluster_that_lacks_a_node_is_down_for_the_slots_of_it(redis_cluster, join):
    counters = await join(redis_cluster.url, timeout_s=0.3)
    owner = redis_cluster.owner(KEY)
    assert await passes(counters, draw(rate(50)))
    owner.kill()
    with pytest.raises(StoreDown):
        await counters.take([draw(rate(50))])
    await asyncio.sleep(0.5)
    assert not counters.is_up
    owner.start()
    await until_up(counters)
    assert await passing(counters, 60, draw(rate(50))) == 50


def move(cluster, owner, heir):
    """Move the slot with all its keys, as an operator's resharding does."""
    slot = owner.run("CLUSTER", "KEYSLOT", KEY)
    heir.run("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.run("CLUSTER", "MYID"))
    owner.run("CLUSTER", "SETSLOT", slot, "MIGRATING", heir.run("CLUSTER", "MYID"))
    while keys := owner.run("CLUSTER", "GETKEYSINSLOT", slot, 100):
        owner.run("MIGRATE", "127.0.0.1", heir.port, "", 0, 5000, "KEYS", *keys)
    for node in (heir, owner, *cluster.nodes):
        node.run("CLUSTER", "SETSLOT", slot, "NODE", heir.run("CLUSTER", "MYID"))
