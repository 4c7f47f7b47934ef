"""Logs: one JSON object a line, with a past-tense ``action`` and ids; never personal data."""

import json
import logging
import sys
import time
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
            # A library's own line: its template's first line, without what was filled in.
            text = str(record.msg).partition("\n")[0][:200]
            line |= {"action": "logged", "logger": record.name, "text": text}
        if record.exc_info and record.exc_info[1] is not None:
            line |= _described(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def _described(error: BaseException) -> dict[str, object]:
    """An exception's type and place, not its text: a driver's error text repeats the values it was
    given. Of a group, the first one that is no group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else None
    cause = type(error.__cause__).__name__ if error.__cause__ else None
    return {"error": type(error).__name__, "where": where, "cause": cause}


def start_logging(service: str, level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "alembic", "faststream", "nats", "uvicorn.error"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def log(action: str, *, level: int = logging.INFO, fault: bool = False, **ids: object) -> None:
    """Say what was done (past tense) and to what (ids). ``fault``: add the current exception's
    type and place."""
    logging.getLogger("tsunagu").log(level, {"action": action, **ids}, exc_info=fault)


class Seldom:
    """For what happens as often as somebody outside likes: one line a minute for each, with how often it
    happened since the line before. ``ids`` are of few kinds: they are remembered."""

    def __init__(self, every: float = 60.0) -> None:
        self._every = every
        self._times: dict[tuple[object, ...], tuple[float, int]] = {}

    def log(self, action: str, **ids: object) -> None:
        now = time.monotonic()
        said, times = self._times.get((action, *ids.values()), (now - self._every, 0))
        if now - said < self._every:
            self._times[action, *ids.values()] = (said, times + 1)
            return
        self._times[action, *ids.values()] = (now, 0)
        logging.getLogger("tsunagu").info({"action": action, "times": times + 1, **ids})
