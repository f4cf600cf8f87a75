"""`python -m osapi_cli` is `osapi`."""

import sys

from osapi_cli.main import main

sys.exit(main())
