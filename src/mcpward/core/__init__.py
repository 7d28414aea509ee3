"""The vocabulary of the house: values, reasons, errors, secrets, time and bounded JSON. No I/O, no framework."""
