"""nats-server's accounts and users, as its configuration wants them.

``services.publish`` writes them to ``deploy/nats/accounts.conf``; the embedded server gets the same
text. Passwords (``$NATS_INTAKE`` …) and the public half of the callout's key (``$NATS_ISSUER``) are
variables, from the environment or the including file.
"""

from collections.abc import Iterable

from schemas.logins import AGENCIES, LOGINS, SERVICES, SYSTEM, Login, Rights

ISSUER = "NATS_ISSUER"
_LIMITS = "{ max_connections: 4096, max_subscriptions: 512, max_payload: 2MB }"
"""Of the agencies' account: all connections together (one agency's the warden counts), the
subscriptions of each, and what one message may have (1 MiB is admitted, some answers are larger)."""


def password_variable(login: str) -> str:
    return f"NATS_{login.upper()}"


def nats_accounts(logins: Iterable[Login] = LOGINS) -> str:
    """Everybody who is not named here is asked after, by the callout: all of ours are
    ``auth_users``, for nats-server asks also after those whom it knows."""
    logins = tuple(logins)
    accounts = "".join(
        f"  {account} {{\n{extra}    users: [\n{_users(logins, account)}    ]\n  }}\n"
        for account, extra in (
            (SERVICES, "    jetstream: enabled\n"),
            (AGENCIES, f"    limits: {_LIMITS}\n"),
            (SYSTEM, ""),
        )
    )
    names = ", ".join(login.name for login in logins)
    return f"""# Made by `python -m services.publish` from schemas/logins.py.
system_account: {SYSTEM}
accounts {{
{accounts}}}
authorization {{
  timeout: 5
  auth_callout {{
    issuer: ${ISSUER}
    account: {SYSTEM}
    auth_users: [{names}]
  }}
}}
"""


def _users(logins: Iterable[Login], account: str) -> str:
    return "".join(
        f"      {{ user: {login.name}, password: ${password_variable(login.name)}, permissions: {{\n"
        f"{_permissions(login.rights)}      }} }}\n"
        for login in logins
        if login.account == account
    )


def _permissions(rights: Rights) -> str:
    lines = [
        f"        publish: {{ allow: {_list(rights.publish)}, deny: {_list(rights.forbidden)} }}"
        if rights.forbidden
        else f"        publish: {{ allow: {_list(rights.publish)} }}",
        f"        subscribe: {{ allow: {_list(rights.subscribe)} }}",
    ]
    if rights.replies:
        lines.append(f'        allow_responses: {{ max: 1, expires: "{rights.replies}s" }}')
    return "".join(f"{line}\n" for line in lines)


def _list(of: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{subject}"' for subject in of) + "]"
