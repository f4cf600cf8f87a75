"""The agent program: operations on this host."""
