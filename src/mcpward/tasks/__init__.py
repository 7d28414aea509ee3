"""Tool calls that go on after their answer: the tasks extension (SEP-2663), durable, each only for its own caller."""
