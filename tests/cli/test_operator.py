"""How `millpond operator` is called."""

from click.testing import CliRunner

from millpond.cli.main import main


def test_a_namespace_that_cannot_be_one_is_refused_with_what_would_be_right() -> None:
    done = CliRunner().invoke(main, ["operator", "--watch-namespace", "shop", "--watch-namespace", "a,b"])
    assert done.exit_code == 2
    assert "'a,b': must be the name of one namespace, such as shop" in done.output
