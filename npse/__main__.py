"""``python -m npse`` is ``npse``."""

from npse.cli import main

main()
