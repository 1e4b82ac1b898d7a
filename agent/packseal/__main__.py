"""`python -m packseal` is `packseal`."""

import sys

from packseal.cli import main

sys.exit(main())
