"""Messages between a running call and its client, across workers: requests, changes, cancellations, resumed streams."""
