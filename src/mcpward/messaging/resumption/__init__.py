"""Streams that a client resumes, at the worker that holds them or at another."""
