"""The console as it runs: people sign in, are who they are, and are out when they should be."""

from tests.people_look_at_it.conftest import Person


def test_somebody_of_each_kind_of_agency_is_let_in(person: Person) -> None:
    for agency in ("core", "hub-motofuji"):
        shown = person(agency).get("/account")
        assert shown.status_code == 200
        assert f"{agency}.mihon" in shown.text
        assert shown.headers["cache-control"] == "no-store"
