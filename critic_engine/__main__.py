"""``python -m critic_engine`` is the command line."""

import sys

from critic_engine.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
