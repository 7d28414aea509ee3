"""Counters that all processes and hosts of a site share, in Redis or Valkey. No other package speaks their protocol."""
