"""An operator's work on a site: use cases with typed results. Parses no words, prints nothing, asks no questions."""
