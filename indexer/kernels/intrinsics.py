"""Processor instructions that compiled loops need and Python cannot express.

With ``NUMBA_DISABLE_JIT=1``, numba's switch for debugging, the loops run as plain Python, and so do these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


def _emit_stored_value(context: Any, stored: Any) -> Any:
    """Convert a stored number to float32, by the processor's own instruction if it has one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if stored == types.uint16:
            return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())
        return context.cast(builder, arguments[0], stored, types.float32)

    return types.float32(stored), generate


def _emit_prefetch(context: Any, stored: Any, row: Any, byte: Any) -> Any:
    """Prefetch the cache line of a row that holds a byte; nothing else happens."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        array = make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, array.strides)[0]
        offset = builder.add(builder.mul(stride, arguments[1]), arguments[2])
        address = builder.gep(builder.bitcast(array.data, pointer), [offset])
        arguments_of = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, arguments_of, "llvm.prefetch.p0")
        # To read, moderately local, data: LLVM language reference, llvm.prefetch.
        builder.call(function, [address, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(stored, types.int64, types.int64), generate


def _stored_value(stored: Any) -> Any:
    return np.float32(stored.view(np.float16) if stored.dtype == np.uint16 else stored)


def _prefetch(stored: Any, row: Any, byte: Any) -> None:
    """Do nothing: an interpreter has nothing to prefetch for."""


stored_value = _stored_value if config.DISABLE_JIT else intrinsic(_emit_stored_value)
prefetch = _prefetch if config.DISABLE_JIT else intrinsic(_emit_prefetch)
