"""The only way out: every address is checked and pinned, every answer is bounded, no redirect is followed."""
