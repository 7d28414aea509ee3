"""The way back to a client, across workers: questions, changes, cancellations, and streams that can be resumed."""
