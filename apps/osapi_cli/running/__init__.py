"""The programs that run until they are told to stop: controller, agent, both with a broker in one process."""

# The layout:
#
#   lifetime.py    from the first signal to the last: drained, then cancelled, then gone
#   systemd.py     what the service manager is told
#   logs.py        one line each, for people or as JSON
#   health.py      the port for probes
#   broker.py      the connection, waited for at the start
#   controller.py  the controller, and what runs in it beside the API
#   agent.py       the agent
#   pki.py         the keys that jobs and answers are signed with
#   tracing.py     the spans of both, where they are wanted
#   together.py    broker, controller and agent in one process; keys.py its signing key and its token
