from service.errors import envelope
from service.schemas.errors import ErrorAnswer


def test_every_error_has_the_documented_shape():
    for response in (envelope(422, "invalid_option", "no", "k"), envelope(503, "busy", "wait")):
        documented = ErrorAnswer.model_validate_json(response.body, strict=True)
        assert documented.model_dump_json().encode() == response.body
