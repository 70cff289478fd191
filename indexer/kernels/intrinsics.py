"""What compiled loops need of the processor and Python has no word for."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


@intrinsic  # type: ignore[untyped-decorator]
def stored_value(context: Any, stored: Any) -> Any:
    """Turn a stored number into a float32, by the processor's own instruction where it has one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if stored == types.uint16:
            return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())
        return context.cast(builder, arguments[0], stored, types.float32)

    return types.float32(stored), generate


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(context: Any, stored: Any, row: Any, byte: Any) -> Any:
    """Ask the memory for the cache line of a row that holds the byte; nothing else happens."""

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
