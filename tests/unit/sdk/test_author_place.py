"""The author's file that a call came from."""

from mcpward.sdk import author_place as module
from mcpward.sdk.author_place import author_place


def called_from(filename):
    """Ask from within a file of that name, which need not be there."""
    code = compile("place = ask()", filename, "exec")
    made = {"ask": author_place}
    exec(code, made)
    return made["place"]


def test_a_file_of_ours_is_passed_over_and_one_beside_us_is_not():
    ours = module.__file__.removesuffix("/sdk/author_place.py")
    assert called_from(f"{ours}/sdk/server.py").file.name == "test_author_place.py"
    assert called_from(f"{ours}_shop/tools.py").file is None  # that very file, which is not there
