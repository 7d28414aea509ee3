"""Who is calling: credentials in, principals out; one file per way. Knows nothing of what is asked for."""
