"""The process that serves one version under ``serve --reload``: not for people, who start it by that option."""

import sys

from mcpward.app.inherited import COUNT, read_arguments
from mcpward.cli import serve, ui
from mcpward.cli.main import run


def main() -> int:
    """Serve with the listeners of the process that watches, and report the result of the start to it."""
    inherited = read_arguments(sys.argv[1 : 1 + COUNT])
    serve.INHERITED.append(inherited)
    errors: list[str] = []

    def tell(what: str, hint: str = "") -> None:
        ui.error(what, hint)
        errors.append(what)  # and no hint: every program on this machine gets the answer, without a credential

    code = run(sys.argv[1 + COUNT :], tell)
    if errors:
        inherited.report("; ".join(errors))
    return code


if __name__ == "__main__":
    sys.exit(main())
