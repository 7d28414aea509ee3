"""The product's own sources, read as text: what the architecture tests look at."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "src" / "mcpward"


@cache
def modules() -> dict[Path, ast.Module]:
    """Every module of the package with its syntax tree, by path relative to the package."""
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_text(encoding="utf-8"), str(path))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """Every node of a module, walked once for all tests."""
    return tuple(ast.walk(tree))


@cache
def functions() -> list[tuple[str, int]]:
    """Every function as ``path:line name`` with its length in lines, docstring left out: words are not complexity."""
    found: list[tuple[str, int]] = []
    for path, tree in modules().items():
        for node in nodes(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                length = node.end_lineno - node.lineno + 1
                if ast.get_docstring(node) is not None:
                    words = node.body[0]
                    assert words.end_lineno is not None
                    length -= words.end_lineno - words.lineno + 1
                found.append((f"{path}:{node.lineno} {node.name}", length))
    return found


@cache
def tracked_texts() -> dict[str, str]:
    """Every text file that git tracks (in an unpacked archive: none), by path from the top."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    texts = {}
    for name in listing.stdout.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file():
            try:
                texts[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
    return texts
