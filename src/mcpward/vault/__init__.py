"""Secrets of servers, encrypted at rest: each sealed to its server and name."""
