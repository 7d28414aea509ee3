"""The tools themselves: loading an author's file, the registry of what it offers, and running one call in its time."""
