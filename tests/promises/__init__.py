"""What a user is promised, on either backend in real time: short waits, and nothing told about how long they were."""
