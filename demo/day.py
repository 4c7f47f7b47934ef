"""The day of the demo: what happens while everybody is there."""

from demo.story import Story, open_handoff


def play_day(story: Story) -> None:
    four_districts(story)
    by_elimination(story)
    ruled_by_core(story)
    handed_onward(story)
    declined(story)
    short_stay(story)
    refused(story)


def four_districts(story: Story) -> None:
    story.chapter("住所から地区へ", "the address finds the district, the hub answers")
    for district, address in (
        ("motofuji", "文京区本郷二丁目２１番３号"),
        ("komagome", "文京区千駄木3-1-1"),
        ("tomisaka", "東京都文京区小石川３丁目１番１号"),
        ("otsuka", "大塚5-1-1"),
    ):
        referral = story.submit(f"anshin-{district}", address)
        story.accept(f"hub-{district}", referral)


def by_elimination(story: Story) -> None:
    story.chapter("表にない番は消去法で", "西片1-19 is in nobody's list but one")
    referral = story.submit("anshin-tomisaka", "西片1-19")
    story.accept("hub-tomisaka", referral)


def ruled_by_core(story: Story) -> None:
    story.chapter(
        "決められない住所は基幹が判定", "never guessed: the core centre rules, and it is remembered"
    )
    referral = story.submit("anshin-tomisaka", "白山1-1")
    path = f"/v1/referrals/{referral['id']}/ruling"
    ruling = {"district": "tomisaka", "remember": True}
    referral = story.post("core", path, ruling, "富坂と判定し、次からもこの番はそうする")
    story.accept("hub-tomisaka", referral)
    referral = story.submit("anshin-komagome", "白山一丁目１番８号")
    story.accept("hub-tomisaka", referral)


def handed_onward(story: Story) -> None:
    story.chapter("転居に伴い次の拠点へ", "transferred onward, custody moves on acceptance")
    referral = story.submit("anshin-motofuji", "湯島2-1-1")
    referral = story.accept("hub-motofuji", referral)
    note = "見本: 千駄木へ転居。経過は別紙。"
    referral = story.offer("hub-motofuji", referral, ["hub-komagome"], "transfer", note)
    story.accept("hub-komagome", referral)


def declined(story: Story) -> None:
    story.chapter("辞退されたら別の機関へ", "declined, and offered elsewhere")
    referral = story.submit("anshin-komagome", "本駒込3-1-1")
    referral = story.decline("hub-komagome", referral, "staff_shortage", "見本: 担当者が不在。")
    to = ["hub-tomisaka", "core"]
    referral = story.offer("anshin-komagome", referral, to, "transfer", "見本: お願いします。")
    story.accept("core", referral)


def short_stay(story: Story) -> None:
    story.chapter("短期入所を依頼、担当は拠点のまま", "a bed is asked for, custody stays")
    referral = story.submit(
        "anshin-otsuka",
        "音羽1-2-3",
        function="emergency",
        urgency="urgent",
        requested_action="short_stay",
        summary="見本: 介護者の入院が決まり、来週の短期入所を要する。",
    )
    referral = story.accept("hub-otsuka", referral)
    referral = story.offer(
        "hub-otsuka", referral, ["lien-bunkyo"], "request", "見本: 3泊。", function="emergency"
    )
    handoff = open_handoff(referral, "lien-bunkyo")
    story.post("lien-bunkyo", f"/v1/handoffs/{handoff}/accept", {}, "受諾する")
    done = {"outcome": "got_help"}
    story.post("lien-bunkyo", f"/v1/handoffs/{handoff}/complete", done, "完了を報告")
    story.post("hub-otsuka", f"/v1/referrals/{referral['id']}/close", done, "終結する")


def refused(story: Story) -> None:
    story.chapter("誤りのある依頼は、場所を示して返す", "a bad POST gets a clear error")
    problem = story.submit("sample-hospital", "本郷九丁目1-1", expect=422)
    for error in problem["errors"]:
        told = f"         {error['pointer']}: {error['detail']}"
        story.out.print(told, markup=False, soft_wrap=True)
