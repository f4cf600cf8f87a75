"""Pure decisions: no I/O, no clock, no randomness; all three arrive as arguments."""
