"""A script goes on only when a step has come to its end, and ends when one never does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from millpond.control.observe.headcount import Servers
from millpond.demo import play
from millpond.demo.play import CommandError, shell_of
from millpond.demo.script import Command, Script
from millpond.demo.takeovers import Takeovers
from millpond.demo.watch import Watch
from millpond.local.cluster.embedded import Cluster

from .made_up_rollout import MOMENTS, SCRIPT

QUICK: Script = SCRIPT.at_speed(1000)
ENDS = {"v2": MOMENTS[3], "v3": MOMENTS[6]}


@dataclass
class World:
    """Brings the edition that a command names to the end that it must have."""

    takeovers: Takeovers = field(default_factory=lambda: Takeovers(lambda: 0.0))
    editions: dict[str, Servers] = field(default_factory=lambda: {"v1": Servers()})
    commands: list[Command] = field(default_factory=list)
    deaf_to: str = ""

    def shell(self, command: Command) -> None:
        self.commands.append(command)
        if command[-1] != self.deaf_to:
            self.takeovers.moments.append(replace(ENDS[command[-1]], t_s=len(self.commands)))

    async def play(self, script: Script = QUICK) -> bool:
        return await asyncio.wait_for(
            play.play(script, cast(Watch, self), self.shell, self.told.append), timeout=20
        )

    told: list[Sequence[str]] = field(default_factory=list)


async def test_the_steps_are_done_in_order_and_told() -> None:
    world = World()
    assert await world.play()
    assert [command[-1] for command in world.commands] == ["v2", "v3"]
    assert world.told[0] == ["millpond rollout start shop --edition v2"]


async def test_after_a_step_that_never_ends_nothing_more_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "STEP_S", 0.3)
    world = World(deaf_to="v2")
    assert not await world.play()
    assert [command[-1] for command in world.commands] == ["v2"]


async def test_a_step_lasts_until_nothing_is_left_of_the_other_editions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(play, "STEP_S", 0.3)
    world = World(editions={"v1": Servers(draining=1), "v2": Servers(ready=2)})
    assert not await world.play()


async def test_how_an_earlier_rollout_of_the_same_edition_ended_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(play, "STEP_S", 0.3)
    world = World(deaf_to="v2")
    world.takeovers.moments.append(ENDS["v2"])
    assert not await world.play()


def test_a_command_gets_the_kubeconfig_and_one_that_fails_says_what_it_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "tool.py"
    tool.write_text(
        "import os, sys\nopen(sys.argv[1], 'w').write(os.environ['KUBECONFIG'])\nsys.exit('no such app')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    cluster: Any = SimpleNamespace(kubeconfig="/the/kubeconfig")
    with pytest.raises(CommandError, match="ended with 1: no such app"):
        shell_of(cast(Cluster, cluster))(("tool", str(tmp_path / "seen")))
    assert (tmp_path / "seen").read_text() == "/the/kubeconfig"
