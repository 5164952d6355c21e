"""`millpond completion SHELL`, and what kubectl asks when somebody presses TAB after `kubectl millpond`."""

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

from millpond.cli.verb import PLUGIN, PROGRAM, Verb

COMPLETE_VAR = "_MILLPOND_COMPLETE"  # how the shells' scripts ask the program
PLUGIN_PROGRAM = "kubectl-millpond"
_NO_FILES = ":4"  # to kubectl: offer no file names besides

# The same function serves the plugin's program; a file in zsh's fpath says so in its first line.
_PLUGIN_TOO = {
    "bash": f"complete -o nosort -F {{function}} {PLUGIN_PROGRAM}\n",
    "zsh": f"[[ $zsh_eval_context[-1] == loadautofunc ]] || compdef {{function}} {PLUGIN_PROGRAM}\n",
    "fish": f'complete --no-files --command {PLUGIN_PROGRAM} --arguments "({{function}})";\n',
}


@click.command(
    cls=Verb,
    examples=(
        ("completion bash > ~/.local/share/bash-completion/completions/millpond", ""),
        ("completion zsh > ~/.zfunc/_millpond", "a folder of $fpath"),
        ("completion fish > ~/.config/fish/completions/millpond.fish", ""),
    ),
)
@click.argument("shell", type=click.Choice(sorted(_PLUGIN_TOO)))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete verbs, options and names for millpond and kubectl-millpond.

    `kubectl millpond` completes by kubectl's own completion, without this script: it finds
    kubectl_complete-millpond on PATH. For the running shell alone: source <(… completion bash).
    """
    click.echo(script(shell))


def script(shell: str) -> str:
    kind = get_completion_class(shell)
    assert kind is not None
    asked = kind(click.Command(PROGRAM), {}, PROGRAM, COMPLETE_VAR)
    source = asked.source().strip()
    source = source.replace(f"#compdef {PROGRAM}\n", f"#compdef {PROGRAM} {PLUGIN_PROGRAM}\n")
    return f"{source}\n{_PLUGIN_TOO[shell].format(function=asked.func_name)}".rstrip()


def kubectl_complete() -> None:
    """`kubectl_complete-millpond WORD… BEGUN`: what may stand in the place of the last word, one per line."""
    from millpond.cli.main import main  # which knows this module by name

    *words, begun = sys.argv[1:] or [""]
    asked = ShellComplete(main, {}, PLUGIN, COMPLETE_VAR)
    for item in asked.get_completions(words, begun):
        if item.type == "plain":
            click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    click.echo(_NO_FILES)
