from indexer.shortlist.beam import beam_efforts, beam_width


def test_efforts_widen_from_the_number_of_candidates_on():
    assert beam_efforts(100) == [100, 150, 200, 300, 400, 800]
    assert beam_efforts(1) == [1, 2, 3, 4, 8]


def test_a_beam_is_as_wide_as_the_effort_and_holds_the_candidates():
    assert [beam_width(effort, 10) for effort in (None, 5, 10, 30)] == [10, 10, 10, 30]
