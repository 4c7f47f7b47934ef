"""Who may ask what of the ledger (閲覧の権限)."""

from datetime import date

from schemas.codes import AgencyKind, Scope
from wards.model import Ward


class Readers:
    """Agencies of the ward by what they may ask. One that is not on the network today asks nothing."""

    def __init__(self, ward: Ward) -> None:
        self._ward = ward

    def reads_all(self, agency_id: str, today: date) -> bool:
        """The core centre and auditors see every history."""
        agency = self._ward.agency(agency_id)
        return self.takes_part(agency_id, today) and agency is not None and (
            agency_id == self._ward.core
            or agency.kind is AgencyKind.AUDITOR
            or Scope.AUDIT in agency.scopes
        )  # fmt: skip

    def reads_figures(self, agency_id: str, today: date) -> bool:
        """They, and the ward office: what names no case."""
        agency = self._ward.agency(agency_id)
        return self.reads_all(agency_id, today) or (
            self.takes_part(agency_id, today)
            and agency is not None
            and agency.kind is AgencyKind.WARD_OFFICE
        )

    def takes_part(self, agency_id: str, today: date) -> bool:
        agency = self._ward.agency(agency_id)
        return agency is not None and agency.active_on(today)

    def is_masked(self, agency_id: str) -> bool:
        """Whether the district of a protected address is masked for it: for all but the core centre,
        and whoever has taken the case, whom the ledger does not serve here."""
        return agency_id != self._ward.core
