"""Long runs against a real nats-server that is killed on the way: `python -m tests.soak --help`."""
