"""Kubernetes quantities ("250m", "1.5Gi", "2e3") as exact numbers."""

from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

ZERO = Decimal(0)
LARGEST = 2**63 - 1  # what Kubernetes counts up to
_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "E": Decimal(10**18), "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40),
    "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip
_LONGEST = 64  # characters; no quantity that means something has more


def parse(text: str | float) -> Decimal:
    """In cores, bytes or pieces.

    >>> parse("250m"), parse("1.5Ki")
    (Decimal('0.250'), Decimal('1536.0'))

    Raises ValueError on anything else.
    """
    digits = str(text).rstrip("numkMGTPEi")
    suffix = str(text)[len(digits) :]
    try:
        return Decimal(digits) * _SUFFIXES[suffix]
    except (ArithmeticError, KeyError) as e:
        raise ValueError(
            f"{text!r} is not a quantity: a number with a suffix like m, k, M, Ki, Mi, Gi"
        ) from e


def counted(text: object, per_unit: int = 1) -> int | None:
    """Whole units, or thousandths of them with ``per_unit`` 1000, rounded up as Kubernetes does.

    None for what is no quantity: whatever somebody wrote, it is read or not, never an error.
    """
    known = isinstance(text, str | int | float) and not isinstance(text, bool)
    return _counted(str(text), per_unit) if known and len(str(text)) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _counted(text: str, per_unit: int) -> int | None:
    try:
        amount = parse(text) * per_unit
    except (ValueError, ArithmeticError):
        return None
    if not amount.is_finite() or amount < 0:
        return None
    if amount >= LARGEST:
        return LARGEST
    if amount < Decimal("1e-18"):
        return int(amount > 0)
    return int(amount.to_integral_value(rounding=ROUND_CEILING))
