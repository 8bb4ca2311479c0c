#!/usr/bin/env python
"""Django's command line for the testproject."""

import os
import sys


def main() -> None:
    """Run the command that the command line names."""
    # Not setdefault(): a variable that some other project left in the shell must not lead elsewhere.
    os.environ["DJANGO_SETTINGS_MODULE"] = "website.settings"
    from django.core.management import execute_from_command_line  # noqa: PLC0415  needs the line above

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
