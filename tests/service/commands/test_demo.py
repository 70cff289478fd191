import threading

from service.commands import demo as command


def test_every_step_is_shown(mrl, tmp_path, small_demo):
    status, out, err = mrl("demo", "--out", tmp_path / "demo")
    assert status == 0, err
    steps = [line.split("  (")[0] for line in out.splitlines() if line.startswith("──")]
    assert [step.split()[1] for step in steps] == ["Reading", "Training", "Evaluating", "Building", "Serving"]
    assert f"{small_demo:,} documents in {tmp_path / 'demo' / 'corpus.jsonl'}" in out
    assert "generation 000001 of" in out
    assert "w1 w2" in out
    assert "shortlist" in out
    assert "finished after" in err


def test_the_service_stops_on_ctrl_c(monkeypatch, capsys):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Event, "wait", interrupt)
    command._wait_for_interrupt()
    assert capsys.readouterr().out == "stopped\n"
