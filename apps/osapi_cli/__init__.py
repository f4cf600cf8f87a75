"""The command line: the program `osapi`."""

# The layout, in the order in which a call passes through it:
#
#   main.py        the entry point, which imports next to nothing
#   program.py     the commands
#   group.py       their flags, what was probably meant
#   configure.py   the commands `osapi config`
#   configuration/ a file, variables over it, every problem at once
#   wiring.py      what of it the library, the backend and the API are given
#   start.py  controller.py  agent.py   the commands that start a program; starting.py what they share
#   running/       the programs
#   local.py       what `osapi start` leaves for the other commands
#   nats.py        the commands `osapi nats`
#   nats_server.py a real server, started again when it dies
#   token.py       the commands `osapi token`
#   completion.py  what a shell completes
#   client/        the commands `osapi client`: all that a server offers
#   demo.py        a command's work, pure data as its outcome
#   demo_view.py   the same for people, and for programs
#   output.py      how a document looks on a terminal and in a pipe
#   human.py       sizes and durations as people read them
#   problems.py    the program's own errors
#   exits.py       how it ends: statuses, errors on one line, signals, a reader that has left
