"""Vectors in requests: a list of numbers, or base64 of little-endian float32."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from models.data.vector_text import decode_vector, numbers


class _AsVector:
    """Reads both forms as float32 of shape (n,). A union would name its branches in error messages to clients."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        listed = core_schema.list_schema(core_schema.float_schema(), min_length=1)
        return core_schema.no_info_wrap_validator_function(_read, listed)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "anyOf": [
                {"type": "array", "items": {"type": "number"}, "minItems": 1},
                {"type": "string", "format": "byte", "description": "Base64 of little-endian float32 numbers."},
            ]
        }


def _read(value: Any, read_list: core_schema.ValidatorFunctionWrapHandler) -> npt.NDArray[np.float32]:
    return decode_vector(value) if isinstance(value, str) else numbers(read_list(value))


Vector = Annotated[npt.NDArray[np.float32], _AsVector()]
