from tests.service.web.browser import expect, needs_chromium

pytestmark = needs_chromium


def test_facts_and_live_recall_are_shown(visit, facts):
    watch = {
        **facts["recall_watch"],
        "sampled": 250,
        "alarm": True,
        "levels": [
            {
                "promised": 0.95,
                "recent": {"queries": 250, "recall": 0.9, "low": 0.88, "high": 0.92},
                "overall": {"queries": 250, "recall": 0.9, "low": 0.88, "high": 0.92},
                "alarm": True,
                "message": "",
            }
        ],
    }
    visit.page.route("**/v1/index", lambda route: route.fulfill(json={**facts, "recall_watch": watch}))
    page = visit.open()
    panel = page.locator("#facts-panel")
    expect(panel).to_contain_text("1,000")
    expect(panel).to_contain_text(facts["model_hash"][:12])
    expect(panel).to_contain_text(f"trained sizes {', '.join(map(str, facts['sizes']))}")
    expect(page.locator("#watch")).to_contain_text("Promised 0.950")
    expect(page.locator("#watch")).to_contain_text("0.900 [0.880, 0.920]")
    expect(page.locator("#watch .alarm")).to_contain_text("Below the promise over 250 queries")
