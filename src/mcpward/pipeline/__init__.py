"""The one path of a request: the packages that it passes, in their order. ``Pipeline.serve`` has its stages."""
