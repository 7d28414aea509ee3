"""The vocabulary of mcpward: values, reasons, errors, secrets, time and bounded JSON. No I/O, no framework."""
