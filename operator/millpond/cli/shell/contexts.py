"""The kubeconfig files that count, and the contexts in them, as kubectl sees them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import yaml


def asked_for(kubeconfig: Path | None) -> str:
    """The option, else $KUBECONFIG (several files may stand there), else where kubectl keeps it."""
    return str(kubeconfig or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")


def files(asked: str) -> Sequence[Path]:
    """Those that exist."""
    named = [Path(name).expanduser() for name in asked.split(os.pathsep) if name]
    return [file for file in named if file.exists()]


@dataclass(frozen=True, slots=True)
class Contexts:
    """The contexts of one or several kubeconfigs: of those that say something, the first wins."""

    current: str | None = None
    namespaces: Mapping[str, str | None] = field(default_factory=dict)
    """Of each context, by its name."""

    @classmethod
    def of(cls, files: Sequence[Path]) -> "Contexts":
        """A file that cannot be read says nothing here: whoever logs in with it says what is wrong."""
        current, namespaces = None, dict[str, str | None]()
        for file in files:
            try:
                content = yaml.safe_load(file.read_text())
                entries = content.get("contexts") or []
                told = {str(c["name"]): (c.get("context") or {}).get("namespace") for c in entries}
                current = current or content.get("current-context") or None
            except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
                continue
            namespaces = told | namespaces
        return cls(current, namespaces)

    def choose(self, asked: str | None, where: str) -> str | None:
        """The context to use; None leaves it to the log-in to say what is wrong with the files ``where``."""
        chosen = asked or self.current
        if chosen in self.namespaces or not self.namespaces:
            return chosen
        there = ", ".join(sorted(self.namespaces))
        if chosen is None:
            raise click.ClickException(f"{where} has no current context: name one with --context ({there})")
        raise click.ClickException(f"no context {chosen!r} in {where} (there: {there})")

    def namespace(self, context: str | None) -> str | None:
        return self.namespaces.get(context) if context else None
