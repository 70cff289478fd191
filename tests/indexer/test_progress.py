from indexer import progress
from indexer.progress import EncodingDocuments, IndexStage, Publishing
from models.progress import Counted, Event


def test_every_stage_is_counted_and_has_a_label_of_its_own():
    public = [getattr(progress, name) for name in progress.__all__]
    stages = [kind for kind in public if isinstance(kind, type) and kind not in (Event, IndexStage)]
    assert len({stage.label for stage in stages}) == len(stages) == 8
    assert all(issubclass(stage, IndexStage) and issubclass(stage, Counted) for stage in stages)


def test_stages_are_compared_by_value():
    assert EncodingDocuments(done=3, rejected=1) == EncodingDocuments(done=3, total=None, rejected=1)
    assert Publishing(generation="000001") != Publishing(generation="000002")
