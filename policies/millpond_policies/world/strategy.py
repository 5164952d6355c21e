"""How an edition takes over from another."""

from enum import StrEnum


class Strategy(StrEnum):
    ROLLING = "Rolling"
    ATOMIC = "Atomic"
    CANARY = "Canary"
    BLUE_GREEN = "BlueGreen"
