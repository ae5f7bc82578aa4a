from sigforge.core import progress as module
from sigforge.core.progress import Progress


def shown(monkeypatch, capsys, *, found, done, total, seconds):
    clock = iter([0.0, *[float(seconds)] * 9])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    bar = Progress("job", total)
    bar.find(found)
    bar.advance(done, note="3 failed")
    return capsys.readouterr().err


def test_what_was_found_says_nothing_of_the_speed(monkeypatch, capsys):
    told = shown(monkeypatch, capsys, found=900, done=20, total=1000, seconds=10)
    assert told == "job: 920/1000 (92 %), 2.0/s, ETA 0:40, 3 failed\n"


def test_slow_work_is_told_per_unit(monkeypatch, capsys):
    told = shown(monkeypatch, capsys, found=0, done=4, total=4, seconds=60)
    assert told == "job: 4/4 (100 %), 15.0 s each, 1:00 spent, 3 failed\n"


def test_nothing_done_yet(monkeypatch, capsys):
    assert shown(monkeypatch, capsys, found=5, done=0, total=9, seconds=6) == "job: 5/9 (56 %), ETA unknown, 3 failed\n"
