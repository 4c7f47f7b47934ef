"""The signs of the picture (記号): to every kind of mark a shape and a word, so that nothing is told by colour
alone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from services.console.picture.band import Kind

Frame = Literal["circle", "diamond", "square", "flag"]


@dataclass(frozen=True, slots=True)
class Sign:
    """``path``: SVG, about 12 wide around 0,0, drawn as lines over the frame. ``filled``: so is the frame."""

    frame: Frame
    path: str
    filled: bool
    ja: str
    en: str


_CHECK = "M-5 0l3.5 4L5-4"
_CROSS = "M-4-4l8 8M4-4l-8 8"
_RIGHT = "M-5 0H5M1-4l4 4-4 4"
_LEFT = "M5 0H-5M-1-4l-4 4 4 4"
_HANDS = "M0-6V0l4 3"
_LINES = "M-5-4H5M-5 0H5M-5 4H1"

SIGNS: Mapping[Kind, Sign] = {
    Kind.SUBMITTED: Sign("circle", "M0-5V5M-5 0H5", True, "受付", "taken in"),
    Kind.DISTRICT: Sign("diamond", "M0-3V3", False, "地区", "district"),
    Kind.RULING: Sign("diamond", "M-3-2a3 3 0 1 1 3 3v1M0 5v.5", False, "判定依頼", "to rule"),
    Kind.RULED: Sign("diamond", _CHECK, True, "判定", "ruled"),
    Kind.TRANSFER: Sign("circle", _RIGHT, False, "引き継ぎ", "transfer"),
    Kind.REQUEST: Sign("square", _RIGHT, False, "依頼", "request"),
    Kind.ACCEPTED: Sign("circle", _CHECK, True, "受諾", "accepted"),
    Kind.DECLINED: Sign("circle", _CROSS, False, "辞退", "declined"),
    Kind.EXPIRED: Sign("circle", _HANDS, False, "無回答", "silent"),
    Kind.WITHDRAWN: Sign("circle", _LEFT, False, "取り下げ", "withdrawn"),
    Kind.COMPLETED: Sign("square", _CHECK, True, "完了", "completed"),
    Kind.CALLED: Sign("flag", "", False, "上申", "called"),
    Kind.PASSED_ON: Sign("flag", "M-1-5v6M-1-5h0", False, "次の窓口", "passed on"),
    Kind.ACKNOWLEDGED: Sign("flag", "", True, "応答", "in hand"),
    Kind.RESOLVED: Sign("diamond", _CHECK, False, "解決", "resolved"),
    Kind.TAKEN: Sign("square", _LEFT, True, "引き取り", "taken over"),
    Kind.NOTE: Sign("square", _LINES, False, "記録", "note"),
    Kind.ATTACHMENT: Sign("square", "M-3 5V-5H1l2 2V5z", False, "添付", "file"),
    Kind.CLOSED: Sign("square", "M-3 0H3", True, "終結", "closed"),
    Kind.CANCELLED: Sign("square", _CROSS, True, "取消", "cancelled"),
    Kind.REOPENED: Sign("circle", "M-2-4l6 4-6 4z", True, "再開", "reopened"),
}

FRAMES: Mapping[Frame, str] = {
    "circle": "M-11 0a11 11 0 1 1 22 0a11 11 0 1 1-22 0z",
    "diamond": "M0-13L13 0 0 13-13 0z",
    "square": "M-10-10H10V10H-10z",
    "flag": "M-7 13V-13H11L6-6 11 1H-7",
}
