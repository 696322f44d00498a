"""Copies `list<u8>` into and out of components at once.

wasmtime 50 does it in a loop, one byte a turn, which is some twenty times slower; without `install` all else
is the same. This reaches into the package, whose version is pinned for that reason.
"""

import ctypes

from wasmtime import _ffi as ffi
from wasmtime.component._types import ListType

CELL = ffi.wasmtime_component_val_t
CELL_BYTES, VALUE = ctypes.sizeof(CELL), CELL.of.offset


def cells(values):
    """The memory of a list's values, each of them a tag and, in a union, what it is."""
    address = ctypes.cast(values.data, ctypes.c_void_p).value
    return memoryview((ctypes.c_ubyte * (CELL_BYTES * values.size)).from_address(address)).cast("B")


def install():
    slow_to_c, slow_from_c = ListType.convert_to_c, ListType.convert_from_c

    def to_c(self, store, value, pointer):
        if not value or not self._is_bytes():
            return slow_to_c(self, store, value, pointer)
        values = ffi.wasmtime_component_vallist_t()
        ffi.wasmtime_component_vallist_new_uninit(values, len(value))
        memory = cells(values)
        memory[::CELL_BYTES] = bytes([ffi.WASMTIME_COMPONENT_U8.value]) * len(value)
        memory[VALUE::CELL_BYTES] = value
        pointer.contents.kind = ffi.WASMTIME_COMPONENT_LIST
        pointer.contents.of.list = values

    def from_c(self, value):
        if not value.of.list.size or not self._is_bytes():
            return slow_from_c(self, value)
        copy = bytes(cells(value.of.list)[VALUE::CELL_BYTES])
        ffi.wasmtime_component_vallist_delete(value.of.list)
        return copy

    ListType.convert_to_c, ListType.convert_from_c = to_c, from_c
