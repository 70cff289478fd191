import pytest

from indexer.shortlist import KINDS, require_available, shortlist_options, shortlist_type
from models import InvalidOptionError


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("nosuch", {}, "shortlist 'nosuch': give one of flat, hnsw, symqg, ivf, panorama, cagra"),
        ("flat", {"links": 8}, "option links of shortlist 'flat': .* options: none"),
        (
            "hnsw",
            {"links": 1},
            r"option links of shortlist 'hnsw': .*\(given 1; options: links, build_effort, storage\)",
        ),
        ("hnsw", {"links": "many"}, r"option links .*\(given 'many'"),
        ("hnsw", {"storage": "int4"}, r"option storage .*'fp32', 'fp16' or 'sq8' \(given 'int4'"),
        ("symqg", {"degree": 40}, r"option degree .*multiple of 32 \(given 40; options: degree, build_effort, bits\)"),
        ("symqg", {"bits": 2}, r"option bits .*0, 4 or 8 \(given 2"),
        ("ivf", {"codes": "opq"}, r"option codes .*'pq' or 'rabitq' \(given 'opq'"),
        ("panorama", {"levels": 0}, r"option levels .*\(given 0; options: levels\)"),
        ("cagra", {"degree": 7}, r"option degree .*\(given 7"),
    ],
)
def test_unknown_structures_and_options_are_refused(kind, values, message):
    with pytest.raises(InvalidOptionError, match=message):
        shortlist_options(kind, values)


@pytest.mark.parametrize("kind", KINDS)
def test_options_are_read_from_text_as_on_the_command_line(kind):
    options = shortlist_options(kind, {})
    values = {name: str(value) for name, value in options.model_dump().items() if value is not None}
    assert shortlist_options(kind, values) == options
    assert shortlist_options("symqg", {"bits": "8"}) == shortlist_options("symqg", {"bits": 8})


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf", "panorama"])
def test_structures_without_special_needs_are_always_available(kind):
    require_available(kind)


def test_only_symqg_takes_no_filters():
    assert [kind for kind in KINDS if not shortlist_type(kind).filters] == ["symqg"]
