import inspect

from service.client.signatures import with_signature


def test_a_method_shows_the_arguments_of_the_function_it_calls():
    def make(query: "str", *, k: "int" = 10) -> "Call[answers.Answer]": ...  # noqa: F821

    def method(self, /, *arguments, **options): ...

    assert str(inspect.signature(with_signature(method, make))) == (
        "(self, /, query: 'str', *, k: 'int' = 10) -> 'answers.Answer'"
    )
