"""The command line: one file per verb. Reads, asks, prints; all that it decides is what to say and the exit code."""
