"""Where Java and Tomcat come from, and what is said where they can't be had."""

from pathlib import Path

import pytest

from e2e.java import tomcat


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without anything; the folder that is its PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("JAVA_HOME", tomcat.REPOSITORY):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "bin"


def program(path: Path, prints: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{prints}' >&2\n")
    path.chmod(0o755)
    return path


def why(asked: object) -> str:
    with pytest.raises(tomcat.NotHere) as told:
        asked()  # type: ignore[operator]
    return str(told.value)


def test_java_home_comes_before_the_path(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why(tomcat.java_home) == "no JAVA_HOME is set and no java on the PATH"
    program(bare / "java", 'openjdk version "17.0.15"')
    assert tomcat.java_home() == bare.parent
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert why(tomcat.java_home) == f"no java in JAVA_HOME {tmp_path / 'jdk'}"
    (tmp_path / "jdk").mkdir()
    program(tmp_path / "jdk" / "bin" / "java", 'openjdk version "21"')
    assert tomcat.java_home() == tmp_path / "jdk"


def test_a_java_that_is_too_old_is_named(bare: Path) -> None:
    java = program(bare / "java", 'java version "1.8.0_412"')
    assert why(tomcat.java_home) == f'{java} is no Java of 11 or later; it says: java version "1.8.0_412"'


def test_without_maven_and_repository_tomcat_is_not_here() -> None:
    assert "MILLPOND_MAVEN_REPOSITORY is not set and no mvn is on the PATH" in why(tomcat.catalina_home)


def test_another_archive_than_the_pinned_one_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "repository" / tomcat.IN_REPOSITORY
    there.parent.mkdir(parents=True)
    there.write_bytes(b"not a Tomcat")
    monkeypatch.setenv(tomcat.REPOSITORY, (tmp_path / "repository").as_uri())
    assert f"expected {tomcat.SHA256}" in why(tomcat.catalina_home)
    assert not list((tmp_path / "cache" / "millpond" / "tomcat").iterdir())


def test_what_was_unpacked_once_is_used_again(tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "millpond" / "tomcat" / f"apache-tomcat-{tomcat.VERSION}"
    kept.mkdir(parents=True)
    assert tomcat.catalina_home() == kept
