"""Counters that all processes and hosts of a site share, in Redis or Valkey. The only room that speaks their protocol."""
