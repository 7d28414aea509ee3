"""``python -m mcpward`` is the same as ``mcpward``."""

from mcpward.cli.main import main

if __name__ == "__main__":
    main()
