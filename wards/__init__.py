"""WHERE: one TOML file for each ward (区): districts, boundaries, agencies, hours, words, clocks.

A new ward is a new file. ``load_ward`` is the only door: what it returns has been checked.
"""

from wards.agencies import Agency
from wards.boundaries import Chome, Verdict
from wards.escalation import Calls, Desk, EscalationReason
from wards.load import WardFileError, bundled_ward, load_ward
from wards.model import District, Ruling, Ward
from wards.terms import ConsentBasis, DeclineReason, RequestedAction, Term

__all__ = [
    "Agency",
    "Calls",
    "Chome",
    "ConsentBasis",
    "DeclineReason",
    "Desk",
    "District",
    "EscalationReason",
    "RequestedAction",
    "Ruling",
    "Term",
    "Verdict",
    "Ward",
    "WardFileError",
    "bundled_ward",
    "load_ward",
]
