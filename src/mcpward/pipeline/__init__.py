"""The one path of a request: the packages that it passes, in their order. Readable in one function, in
``pipeline.py``.
"""
