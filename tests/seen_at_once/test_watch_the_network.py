"""The board before the whole network, with all its processes."""

from datetime import timedelta
from pathlib import Path

from tests.network import running_network
from tests.partners import a_referral
from tests.seen_at_once.watch_terminal import terminal


def test_the_core_centre_sees_a_call_and_takes_the_case_from_its_terminal(tmp_path: Path) -> None:
    with (
        running_network(tmp_path, clock_shift=True) as network,
        terminal("watch", width=160, **network.settings.environment()) as board,
    ):
        board.sees("いま上申はありません")
        anshin = network.partner("anshin-motofuji")
        submitted = anshin.posts(a_referral())
        assert anshin.escalates(submitted.number, "E01").status == 201
        board.sees("E01", "高齢者あんしん相談センター本富士", "応答待ち 1件", "残り 14分")

        network.move_clock(timedelta(minutes=12))
        board.sees("間近 2分")

        board.types("\r")
        board.sees(submitted.number, "サポートセンターいちょうへ引き継ぎ（担当が移る）  打診中")
        board.types("a")
        board.sees("担当を引き受けます。よろしいですか")
        board.types("y")
        board.sees("応答し、担当を引き受けました", "応答待ち 0件  応答あり 1件")
        taken = anshin.reads(submitted.number).body
        assert taken["custodian"] == "core"

        board.types("ay")
        board.sees("はすでに応答済みです")

        network.kill("intake")
        board.sees("接続が切れました、再接続中")
        board.sees_no_more("接続が切れました", 30)
        network.await_ready()
        (escalation,) = (e for e in taken["escalations"] if e["code"] == "E01")
        assert network.partner("core").resolves(escalation["id"], "kept").status == 200
        board.sees("解決済み")
        board.sees("いま上申はありません")
        board.types("q")
        assert board.ends() == 0
        assert board.is_as_before()
