from mcpward.storage.engine import Store
from mcpward.storage.served import ServedUrl

NOTES, ORDERS = ServedUrl("/notes/mcp", "notes"), ServedUrl("/orders/mcp", "orders")
SHORT = ServedUrl("/mcp", "orders")


async def test_what_was_served_at_the_last_start_is_told_at_the_next(store: Store) -> None:
    assert await store.served.replace([ORDERS, SHORT]) == []
    assert await store.served.replace([ORDERS, NOTES]) == [SHORT, ORDERS]
    assert await store.served.replace([ORDERS, NOTES]) == [NOTES, ORDERS]
    assert await store.served.replace([]) == [NOTES, ORDERS]
    assert await store.served.replace([ORDERS]) == []


async def test_one_server_that_is_served_alone_changes_its_own_urls_only(store: Store) -> None:
    await store.served.replace([ORDERS, SHORT, NOTES])
    moved = ServedUrl("/mcp", "notes", "https://x.example")
    assert await store.served.replace([NOTES, moved], only="notes") == [SHORT, NOTES]
    assert await store.served.replace([]) == [moved, NOTES, ORDERS]
