import pytest

from millpond.local.node.containers.expansion import expand

KNOWN = {"A": "one", "B": "$(A)", "x.y": "dotted"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        pytest.param("plain", "plain", id="a word without reference stays"),
        pytest.param("-p=$(A)!", "-p=one!", id="a reference inside a word is replaced"),
        pytest.param("$(x.y)", "dotted", id="names need not be identifiers"),
        pytest.param("$(NONE)", "$(NONE)", id="an unknown name stays as it is"),
        pytest.param("$$(A)", "$(A)", id="a doubled dollar escapes a reference"),
        pytest.param("$$$(A)", "$one", id="an escaped dollar before a reference"),
        pytest.param("$$$$(A)", "$$(A)", id="two escaped dollars"),
        pytest.param("$(B)", "$(A)", id="what is put in is not expanded again"),
        pytest.param("$A ${A} $(A", "$A ${A} $(A", id="the shell's forms are left to the shell"),
    ],
)
def test_references_in_words(text: str, expanded: str) -> None:
    assert expand(text, KNOWN) == expanded
