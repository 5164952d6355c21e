"""A command whose help ends with examples that can be typed as they stand, however the program was called."""

import re
from typing import Any

import click

PROGRAM = "millpond"
PLUGIN = "kubectl millpond"
_SHORT_WITH_EQUALS = re.compile(r"(-[a-zA-Z])=(.*)", re.DOTALL)


class Verb(click.Command):
    """``examples``: lines of (what is typed after the program's name, what it does).

    `-o=json` means `-o json`, as it does to kubectl.
    """

    def __init__(self, *args: Any, examples: tuple[tuple[str, str], ...] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        split = [part for arg in args[:end] for part in _split(arg)]
        return super().parse_args(ctx, [*split, *args[end:]])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if not self.examples:
            return
        program = ctx.find_root().info_name or PROGRAM
        typed = [(f"{program} {words}".rstrip(), does) for words, does in self.examples]
        width = max(len(words) for words, _ in typed)
        formatter.write_paragraph()
        formatter.write("Examples:\n")
        for words, does in typed:
            formatter.write(f"  {words:<{width}}  {does}".rstrip() + "\n")


def _split(arg: str) -> tuple[str, ...]:
    found = _SHORT_WITH_EQUALS.fullmatch(arg)
    return (found[1], found[2]) if found else (arg,)


class Verbs(Verb, click.Group):
    """A group of verbs, with examples."""

    command_class = Verb
