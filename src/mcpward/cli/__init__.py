"""The command line: one file per verb. Reads, asks, prints; it decides only its own words and the exit code."""
