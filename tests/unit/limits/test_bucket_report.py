"""An operator who looks at a hundred thousand buckets delays no caller."""

import asyncio
from itertools import pairwise

from mcpward.core.values import Rate
from mcpward.limits.rates.bucket_report import BucketReport
from mcpward.limits.rates.bucket_usage import BucketFilter
from mcpward.limits.rates.limit import Limit
from mcpward.limits.rates.memory import MemoryCounters

READ = Limit("read", "orders", Rate(10, 60.0, 10))


class Watched(MemoryCounters):
    """Counts the looks."""

    looks = 0

    def look(self, limit, key, cost=0):
        self.looks += 1
        return super().look(limit, key, cost)


async def test_requests_go_on_between_a_few_hundred_buckets(clock):
    store = Watched(clock, 100_000)
    for number in range(20_000):
        store.add(READ, f"{READ.prefix}api-key:{number}", 1)
    looked_at = []

    async def serve() -> None:
        while True:
            looked_at.append(store.looks)
            store.add(READ, f"{READ.prefix}api-key:new-{len(looked_at)}", 1)
            await asyncio.sleep(0)

    serving = asyncio.create_task(serve())
    uses = await BucketReport([store], [READ]).uses(BucketFilter())
    serving.cancel()
    assert len(uses) == 20_000
    assert max(later - before for before, later in pairwise(looked_at)) <= 200 + 1  # its own
