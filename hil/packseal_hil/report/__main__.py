"""`python -m packseal_hil.report DIR`: make the page again from the files of a run."""

import argparse
import sys
from pathlib import Path

from packseal_hil.report.folder import Folder
from packseal_hil.report.page import write_page
from packseal_hil.rig.protocols import RigError


def main(arguments: list[str] | None = None) -> int:
    """Make it; return 0, or 1 where the folder holds no run."""
    parser = argparse.ArgumentParser(prog="python -m packseal_hil.report", description="Make a run's page again.")
    parser.add_argument("directory", type=Path, metavar="DIR", help="the folder that --report was given")
    folder = Folder(parser.parse_args(arguments).directory)
    try:
        page = write_page(folder.path, folder.stories(), folder.run())
    except RigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{page.resolve()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
