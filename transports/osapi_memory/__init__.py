"""An in-process broker with the semantics of NATS JetStream."""
