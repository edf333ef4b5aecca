"""The classes of all commands: help pages that fit 80 columns, and errors that name the option that was given."""

import difflib
import pkgutil
import re
import typing
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

METAVARS = {int: "N", float: "X", Path: "PATH", str: "NAME"}      # placeholders for the value of an option
SPELLINGS = {"optimiser": "optimizer", "ladder": "variants"}      # names of options that are accepted too
OLD_OPTIONS = {"--flip": ("--tta", "mirror")}                     # of version 0.1, and what they are now
UNBROKEN = "\N{NO-BREAK SPACE}"


class App(typer.Typer):
    """A Typer whose help pages are plain text, which every terminal can show."""

    def __init__(self, help, **more):
        super().__init__(help=help, cls=Group, no_args_is_help=True, rich_markup_mode=None,
                         pretty_exceptions_enable=False,
                         context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100,
                                           "token_normalize_func": lambda name: SPELLINGS.get(name, name)}, **more)

    def command(self, name=None, *, examples=()):
        """Make a function a command; ``examples`` are command lines for the end of its help page."""
        return super().command(name, cls=Command, epilog="\n".join(examples))


class _Page:
    """A help page: the options in their groups, then examples. Overrides methods of click."""

    def get_help(self, context):
        return super().get_help(context).replace(UNBROKEN, " ")

    def collect_usage_pieces(self, context):
        return ["[OPTIONS]", *(param.metavar for param in self.params if param.param_type_name == "argument")]

    def format_options(self, context, formatter):
        kinds = typing.get_type_hints(self.callback) if self.callback else {}
        panels = {"Arguments": [], **{param.rich_help_panel: [] for param in self.params
                                      if getattr(param, "rich_help_panel", None)}, "Options": []}
        for param in self.get_params(context):
            usual = "Arguments" if param.param_type_name == "argument" else "Options"
            panels[getattr(param, "rich_help_panel", None) or usual].append(_row(param, kinds.get(param.name)))
        for title, rows in panels.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, context, formatter):
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.splitlines():
                    formatter.write(f"  {line}\n")


class Command(_Page, TyperCommand):
    """A command. If an error message begins with the name of a parameter, the name of its option replaces it."""

    def parse_args(self, context, args):
        """Read the command line, with the names of today for `OLD_OPTIONS`."""
        known = {name for param in self.params for name in param.opts}
        words = [OLD_OPTIONS[word] if word in OLD_OPTIONS and OLD_OPTIONS[word][0] in known else (word,)
                 for word in args]
        return super().parse_args(context, [word for some in words for word in some])

    def invoke(self, context):
        """Run the command."""
        try:
            return super().invoke(context)
        except (ValueError, TypeError) as error:
            if error.args and isinstance(error.args[0], str):
                error.args = (self._with_option(context, error.args[0]), *error.args[1:])
            raise

    def _with_option(self, context, message):
        options = {param.name: max(param.opts, key=len) for param in self.params
                   if param.param_type_name == "option" and was_typed(context, param.name)}
        found = re.match(r"(?:\w+: )?(\w+)(?= )", message)
        if found and found[1] in options:
            return options[found[1]] + message[found.end():]
        return message


class Group(_Page, TyperGroup):
    """A command that has subcommands."""

    def collect_usage_pieces(self, context):
        """Return the words after the name of the command in the usage line."""
        return [*super().collect_usage_pieces(context), "COMMAND [ARGS]..."]

    def format_options(self, context, formatter):
        """Write the options, then the subcommands."""
        super().format_options(context, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.get_command(context, name).help.partition("\n\n")[0].replace("\n", " "))
                                for name in self.list_commands(context)])


def was_typed(context, name):
    """Return whether a parameter was given on the command line; otherwise it has its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _row(param, kind):
    """Return a row of the help page: the name of an argument or option, and its meaning."""
    names = ", ".join(sorted(param.opts, key=len))
    if param.param_type_name == "argument":
        names = param.metavar
    elif not param.is_flag:
        names += f" {param.metavar or _metavar(kind)}"
    return names, f"{param.help or ''} {_fact(param).replace(' ', UNBROKEN)}".strip()


def _fact(param):
    """Return the text in brackets after the meaning of an option: its default, or that it is required."""
    if param.param_type_name == "option" and param.required:
        return "[required]"
    if isinstance(param.show_default, str):
        return f"[default: {param.show_default}]"
    if param.show_default and param.default is not None and param.default is not False:
        return f"[default: {param.default}]"
    return ""


def _metavar(kind):
    return next(word for known, word in METAVARS.items() if known in (kind, *typing.get_args(kind)))


def names(where):
    """Return a function that completes names for the shell, from a collection such as ``npse.models:MODELS``."""
    return lambda: [str(name) for name in pkgutil.resolve_name(where)]


def run_folder(path):
    """Return the folder of a run; the name of a trained network that comes with npse stands for its folder.

    ValueError if there is nothing at the path, and its name is nearly that of such a network.
    """
    from npse.models import trained

    name = str(path)
    if path.exists() or not (name in trained.names() or difflib.get_close_matches(name, trained.names(), cutoff=0.7)):
        return path
    return trained.folder(name)
