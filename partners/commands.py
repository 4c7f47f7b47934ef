"""`tsunagu conformance` and `tsunagu partner`: the command line for a partner's own systems."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from partners.listener import Wrong
from partners.where import NotFound, key_of, network_url, secret_text
from runtime.settings import Settings

out = Console(highlight=False)
err = Console(stderr=True)

SecretFile = Annotated[
    Path, typer.Option("--secret-file", help="whsec_… のファイル（0600） / file with the secret")
]


def conformance(
    url: Annotated[str, typer.Argument(help="貴機関の Webhook の受け口 / your webhook endpoint")],
    secret_file: SecretFile,
    agency: Annotated[str, typer.Option(help="この機関として / as this agency")] = "sample-home",
    after: Annotated[
        int, typer.Option(min=0, help="この番号の次から送る / numbers begin after this one")
    ] = 0,
    limit: Annotated[
        float, typer.Option(min=0.1, help="答えを待つ秒数 / seconds to answer")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Webhook の受け口を試験する / Test your own webhook endpoint; exit 0 only if it conforms."""
    from partners.conformance.report import document, examine, tell, whole
    from partners.conformance.sending import Endpoint
    from runtime.webhook import SecretError, secret_key

    try:
        endpoint = Endpoint(url, secret_key(secret_text(secret_file)), agency, after, limit)
    except (NotFound, SecretError) as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    try:
        with err.status("試験しています / testing …"):
            findings = examine(endpoint)
    finally:
        endpoint.close()
    if as_json:
        print(json.dumps(document(findings, endpoint.slowest), ensure_ascii=False, indent=2))
    else:
        wide = out if out.is_terminal else Console(width=140, highlight=False, color_system=None)
        tell(findings, endpoint.slowest, wide)
    raise typer.Exit(0 if whole(findings) else 1)


def partner(
    agency: Annotated[str, typer.Option(help="この機関として / as this agency")],
    url: Annotated[str | None, typer.Option(help="http://127.0.0.1:8700")] = None,
    key_file: Annotated[Path | None, typer.Option(help="機関の鍵 / its key")] = None,
    count: Annotated[int, typer.Option(min=0, help="出す依頼の数 / referrals to post")] = 0,
    rate: Annotated[float, typer.Option(min=0.01, max=500, help="毎秒の数 / a second")] = 1.0,
    case: Annotated[
        list[str] | None,
        typer.Option(help="emergency, urgent, consultation, trial, undecidable"),
    ] = None,
    decline: Annotated[str, typer.Option(help="この理由で辞退する / decline, with this code")] = "",
    ignore: Annotated[bool, typer.Option("--ignore", help="答えない / answer nothing")] = False,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="機能ごとに / by function: emergency=accept, experience=decline:CODE"),
    ] = None,
    after: Annotated[float, typer.Option(min=0, help="答えるまでの秒数 / before an answer")] = 0.0,
    listen: Annotated[
        int | None, typer.Option(help="Webhook を受けるポート / port for webhooks")
    ] = None,
    secret_file: Annotated[
        list[Path] | None, typer.Option(help="whsec_… のファイル（0600） / webhook secrets")
    ] = None,
    slow: Annotated[float, typer.Option(min=0, help="受け口が遅い秒数 / slow by seconds")] = 0.0,
    down: Annotated[float, typer.Option(min=0, help="受け口がない秒数 / down for seconds")] = 0.0,
    wrong: Annotated[Wrong | None, typer.Option(help="誤った受け口 / a wrong endpoint")] = None,
    status: Annotated[int, typer.Option(min=200, max=599, help="--wrong status")] = 500,
    lasts: Annotated[
        float | None, typer.Option("--for", min=0, help="秒数。なければ Ctrl-C まで / seconds")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="http:// へも鍵を送る / send the key over http://")
    ] = False,
) -> None:
    """関係機関を演じる / Play a partner agency: post, answer by rules, receive."""
    from partners.client import Client, Problem, Unreachable
    from partners.listener import Manners
    from partners.play.partner import Part, Player
    from partners.play.rules import Accept, Decline, Rules, Silence, read_rules
    from partners.play.samples import NAMES
    from partners.play.telling import Telling
    from runtime.webhook import SecretError, secret_key

    try:
        home = Settings.from_environment().home
        base_url = network_url(home, url, insecure=insecure)
        key = key_of(key_file or home / "keys.toml", agency)
        secrets = [secret_text(path) for path in secret_file or ()]
        for secret in secrets:
            secret_key(secret)
        if (listen is None) != (not secrets):
            raise NotFound(
                "--listen と --secret-file は一緒に / --listen and --secret-file together"
            )
        if unknown := set(case or ()) - set(NAMES):
            raise NotFound(f"--case {', '.join(sorted(unknown))}: {', '.join(NAMES)}")
        otherwise = Decline(decline) if decline else Silence() if ignore else Accept()
        rules = Rules(otherwise, read_rules(rule or ()), after)
    except (NotFound, SecretError, ValueError) as error:
        err.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    part = Part(
        agency=agency,
        rules=rules,
        cases=tuple(case or ("emergency",)),
        count=count,
        rate=rate,
        secrets=tuple(secrets),
        port=listen or 0,
        manners=Manners(slow, down, wrong, status),
        lasts=lasts,
    )
    telling = Telling(out)
    with Client(base_url, key) as client:
        player = Player(client, part, telling)
        try:
            player.play()
        except KeyboardInterrupt:
            player.stop()
        except (Problem, Unreachable) as error:
            err.print(str(error), style="red", markup=False)
            raise typer.Exit(1) from None
    counts = telling.counts
    telling.say(
        f"出した {counts['posted']}・答えた {counts['answered']}・断られた {counts['refused']}・"
        f"届いた {counts['came']}・二度目 {counts['again']}・署名違い {counts['forged']}",
        f"posted {counts['posted']}, answered {counts['answered']}, refused {counts['refused']}, "
        f"came {counts['came']}, again {counts['again']}, forged {counts['forged']}",
    )
    if player.numbers is not None:
        whole_to, missing = player.numbers
        telling.say(f"番号は {whole_to} まで抜けなし", f"numbers whole up to {whole_to}")
        if missing:
            telling.missing(missing)
