"""Logs: one JSON object a line, with a past-tense ``action`` and ids; never personal data."""

import json
import logging
import sys
from datetime import UTC, datetime


class _JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
        }
        if isinstance(record.msg, dict):
            line.update(record.msg)
        else:
            line |= {"action": "logged", "logger": record.name, "text": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            # The exception's type and place, not its text: a driver's error text repeats the
            # values it was given.
            line["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                line["where"] = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        return json.dumps(line, ensure_ascii=False, default=str)


def start_logging(service: str, level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "alembic", "faststream", "nats", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def log(action: str, *, level: int = logging.INFO, fault: bool = False, **ids: object) -> None:
    """Say what was done (past tense) and to what (ids). ``fault``: add the current exception's
    type and place."""
    logging.getLogger("tsunagu").log(level, {"action": action, **ids}, exc_info=fault)
