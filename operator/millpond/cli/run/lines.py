"""The operator's log: lines for people, or one JSON object a line."""

import json
import logging
from collections.abc import Mapping

from millpond.clock import rfc3339

FORMATS = ("text", "json")
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """{time, level, logger, message, error?}, and the ``fields`` that a record has, such as those of a verdict."""

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, object] = {
            "time": rfc3339(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        more = getattr(record, "fields", None)
        if isinstance(more, Mapping):
            found = {**{str(name): value for name, value in more.items()}, **found}
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        return json.dumps(found, default=str)


def begin(form: str, level: int) -> None:
    """``form``: one of FORMATS."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler])
