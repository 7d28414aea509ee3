"""The one way of a request: which packages it passes, in which order. Readable in one function, ``serve.py``."""
