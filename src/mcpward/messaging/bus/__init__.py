"""The message bus between the workers of one site."""
