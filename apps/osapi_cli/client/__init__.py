"""The commands `osapi client`: everything that the REST API of a server offers, from a shell."""

# The layout, in the order in which a call passes through it:
#
#   group.py       the group, and which file each of its commands is in
#   job.py  dlq.py  agent.py  health.py  audit.py  node.py  network.py  command.py  process.py  run.py
#   schedule.py
#                  the commands: flags, help, examples
#   options.py     what their flags have in common; given.py: data as JSON, from a file, from stdin
#   work/          what each of them does: one question to the server, one document for people
#   server.py      where the server is, and who we are to it
#   http.py        a request and its answer
#   description.py  the operations that the server says it has
#   names.py       the names that a shell completes
#   refusals.py    what the program says when the server refuses, or does not answer
#   waiting.py     a request for which hosts are waited
#   sse.py         streams of events, taken apart; follow.py reads one through to its end
#   progress.py    the line on a terminal that tells how far it is
#   shapes.py      what the server answers; health_shapes.py what it tells of itself
#   tables.py      the answers of hosts, as tables
