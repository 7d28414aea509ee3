"""The one tool that every server here serves, and what it answers."""

FILLER = " ".join(f"line {number}: 3 items at 19.90, shipped" for number in range(6))


async def add(a: int, b: int, text: str, flag: bool) -> str:
    """Add two numbers and say a few words about it."""
    return f"{a} + {b} = {a + b}; {text}; {flag}; {FILLER}"
