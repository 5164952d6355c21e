"""What an edition's servers can do, learned from what the routers saw."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Learned so far."""
