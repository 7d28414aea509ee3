"""One record per request, the intent of a destructive call before it runs, and the metrics drawn from both."""
