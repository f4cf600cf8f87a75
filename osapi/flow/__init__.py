"""The path of a job, one step a file: submit, notify, receive, claim, execute, respond, collect."""
