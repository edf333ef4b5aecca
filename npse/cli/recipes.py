"""``npse recipes``: the settings of runs that have a name."""

from typing import Annotated

import typer
from typer import Argument

from npse.cli.command import names
from npse.cli.console import say


def recipes(
    name: Annotated[str | None, Argument(metavar="NAME", help="show this recipe as a TOML file", show_default=False,
                                         autocompletion=names("npse.training.recipes:NAMES"))] = None,
) -> None:
    """List the recipes for npse train --recipe, with the accuracy and the time that were measured; or show one."""
    from npse.training import recipes

    if name is not None:
        typer.echo(recipes.text(name), nl=False)
        return
    for name in recipes.NAMES:
        recipe = recipes.load(name)
        say(f"{name}: {recipe.about}. {recipe.measured}")
