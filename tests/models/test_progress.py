from dataclasses import FrozenInstanceError

import pytest

from models import progress
from models.progress import Counted, Encoding, Evaluated, Event, Step, silent


def test_every_event_derives_from_the_base_and_takes_keywords_only():
    kinds = [
        kind for kind in vars(progress).values() if isinstance(kind, type) and kind.__module__ == "models.progress"
    ]
    assert len(kinds) == 8
    assert all(issubclass(kind, Event) for kind in kinds)
    with pytest.raises(TypeError):
        Counted(1, 2)


def test_events_are_values():
    step = Step(step=1, total=2, loss=0.5)
    assert step == Step(step=1, total=2, loss=0.5, losses={})
    with pytest.raises(FrozenInstanceError):
        step.loss = 1
    assert silent(step) is None


def test_events_match_by_type_and_field():
    def describe(event):
        match event:
            case Encoding(what=what, done=done):
                return f"{done} {what}"
            case Counted(done=done, total=None):
                return f"{done} of unknown"
            case Evaluated(scores=scores):
                return scores

    assert describe(Encoding(what="words", done=3, total=4)) == "3 words"
    assert describe(Counted(done=1)) == "1 of unknown"
    assert describe(Evaluated(step=1, metric="accuracy", scores={8: 0.5}, mean=0.5, best=True)) == {8: 0.5}
