"""What an agent offers on a host: operations on psutil and the system."""

# The layout:
#
#   node.py       the operations node.*.get, as one registry that an agent is given
#   results.py    the shapes that they answer with, units included
#   host.py       hostname, memory, load, operating system, uptime
#   disks.py      which mounts count as disks, and how full they are, a dead one included
