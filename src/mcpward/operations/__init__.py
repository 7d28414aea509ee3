"""What an operator does to a site: use cases with typed results. Parses no words, prints nothing, asks nobody."""
