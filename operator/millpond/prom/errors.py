"""What can go wrong when Prometheus is asked.

* PromError         what the caller wanted to know is unknown: hold, never shrink
  - PromUnavailable  no usable answer in time: ask again later
  - PromRejected     the question is wrong: somebody has to change a field; the text says which
  - PromUnknown      answered, but with nothing to go by: no series, not a number, too old
"""


class PromError(Exception):
    """Prometheus could not tell; the text is fit for a condition's message."""


class PromUnavailable(PromError):
    """No usable answer in time."""


class PromRejected(PromError):
    """The question itself is refused, by us or by Prometheus."""


class PromUnknown(PromError):
    """An answer without usable samples."""
