"""The one way of a request: which rooms it passes, in which order. Readable in one function, ``serve.py``."""
