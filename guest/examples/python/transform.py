"""Turns a flow log into events with the component, from Python.

    python3 -m venv venv
    venv/bin/pip install -r requirements.txt
    vpcflow module component --output vpcflow.wasm
    venv/bin/python transform.py vpcflow.wasm flow.log > events.ndjson

The file is plain or gzip. A third argument is the schema: sekoia, elastic, snare. Rejects go to standard
error. A line is held whole, and may give 2.7 MB of events.
"""

import gzip
import json
import os
import sys
import zlib
from types import SimpleNamespace

import bytes_at_once
from wasmtime import Engine, Store, WasmtimeError
from wasmtime.component import Component, Linker, ResourceAny

INTERFACE = "vpcflow:ecs/transform@0.1.0"
# A call that copies more than 2.7 MB out of the component traps: wasmtime allows it 128 MiB, counts 48
# bytes for each one, and in Python has no setting for that. The events of a piece stay below: they take up
# to 165 times the room of their lines, where these have a single column.
PIECE_BYTES = 16 << 10


def load(path, store):
    """Gives the interface's functions by name."""
    try:
        component = Component.from_file(store.engine, path)
        instance = Linker(store.engine).instantiate(store, component)
    except WasmtimeError as error:
        raise ValueError(f"{path} cannot be loaded: {error}") from error
    interface = instance.get_export_index(store, INTERFACE)
    if interface is None:
        raise ValueError(f"{path} does not export {INTERFACE}")
    return lambda name: instance.get_func(store, instance.get_export_index(store, name, interface))


def pieces(path):
    """Gives whole lines, in pieces; the last line may lack its line feed."""
    with open(path, "rb") as file:
        lines = gzip.open(file) if file.peek(2)[:2] == b"\x1f\x8b" else file
        rest = bytearray()
        try:
            # Unlike `read`, this gives what stands before damage.
            while piece := lines.read1(PIECE_BYTES):
                if end := piece.rfind(b"\n") + 1:
                    yield bytes(rest + piece[:end])
                    rest.clear()
                rest += piece[end:]
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: {error}") from error
        if rest:
            yield bytes(rest)


def transform(module, path, schema=None):
    store = Store(Engine())
    function = load(module, store)
    # A record is an object with the names of WIT, hyphens and all.
    options = {"schema": schema, "format": None, "max-line-bytes": 8 << 20, "keep-message": None, "time-field": None}
    options |= {"event-id": False, "geoip-city": None, "geoip-asn": None}
    transformer = function("[static]transformer.open")(store, SimpleNamespace(**options))
    if not isinstance(transformer, ResourceAny):
        raise ValueError(transformer.payload)
    transform_lines = function("[method]transformer.transform")
    offset = lines_before = 0
    for piece in pieces(path):
        context = SimpleNamespace(**{"origin": path, "offset": offset, "collected-at": None})
        batch = transform_lines(store, transformer, piece, context)
        sys.stdout.buffer.write(batch.events)
        sys.stdout.flush()
        for reject in batch.rejects:
            fault = reject.fault
            field = f"{fault.field}: " if fault.field else ""
            found = json.dumps(fault.found, ensure_ascii=False)
            reason = fault.reason.payload or fault.reason.tag
            line = lines_before + reject.line + 1
            print(f"{path}:{line}: {field}found {found}, wanted {fault.wanted} ({reason})", file=sys.stderr)
        offset += len(piece)
        lines_before += batch.counts.lines
    transformer.drop(store)


def main():
    if len(sys.argv) not in (3, 4):
        print("usage: transform.py MODULE FILE [SCHEMA]", file=sys.stderr)
        return 2
    try:
        transform(*sys.argv[1:])
    except BrokenPipeError:
        return 0
    except (OSError, ValueError, WasmtimeError) as error:
        print(f"transform.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    bytes_at_once.install()
    # `sys.exit` would flush a closed pipe once more, and fail.
    os._exit(main())
