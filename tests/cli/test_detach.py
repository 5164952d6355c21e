import click
import pytest
from click.testing import CliRunner

from millpond.cli.detach.command import _ask


@pytest.mark.parametrize("answer", ["n\n", ""], ids=["no", "nobody is there"])
def test_without_a_yes_nothing_is_detached_and_the_way_without_questions_is_named(answer: str) -> None:
    with CliRunner().isolation(input=answer), pytest.raises(click.ClickException, match="--yes"):
        _ask("Detach?")


def test_a_yes_is_enough() -> None:
    with CliRunner().isolation(input="y\n"):
        _ask("Detach?")
