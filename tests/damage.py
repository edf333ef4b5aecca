"""Functions that damage good files and values at random."""

import json
import pickle

import numpy as np
from safetensors.numpy import load, save

ODD = [None, True, False, 0, -1, 1, 1.5, 10 ** 30, -1e308, 1e308, float("nan"), float("inf"), "", "10", "cifar10",
       "x" * 500, "\n", "\ud800", "\0", [], [1], {}, {"a": 1}, "se_resnet14", "sgd", [[0.5] * 3]]
FOREIGN = [b"", b"\0" * 64, b"<html>not found</html>", pickle.dumps({"weights": [1, 2]}), b"PK\3\4" + b"\0" * 200,
           b"[" * 100_000, b"{" * 9, b"null", b"[]", b"{}", "{}".encode("utf-16"), b"\xef\xbb\xbf"]


def damaged_bytes(rng, content):
    """Return the bytes with some lost, added, changed or repeated, or the bytes of another kind of file."""
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice([1, 1, 8, 100, len(content)]))
    some = rng.randbytes(rng.choice([1, 1, 8, 100]))
    return rng.choice([
        content[:start], content[start:], content[:start] + content[end:], content[:start] + some + content[start:],
        content[:start] + some + content[start + len(some):], content[:end] + content[start:], content + some,
        content[:start] + bytes(end - start) + content[end:], content.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + content, rng.choice(FOREIGN)])


def damaged_json(rng, value):
    """Return the value with one part replaced by an odd value, left out, renamed, or repeated."""
    if isinstance(value, dict) and value and rng.random() < 0.95:
        name, other = rng.choice(list(value)), rng.choice(list(value))
        return rng.choice([
            value | {name: damaged_json(rng, value[name])}, value | {name: value[other]},
            {key: value[key] for key in value if key != name},
            {f"{key}2" if key == name else key: value[key] for key in value},
            value | {name: rng.choice(ODD)}, value | {"unknown": rng.choice(ODD)}])
    if isinstance(value, list) and value and rng.random() < 0.7:
        k = rng.randrange(len(value))
        return rng.choice([value[:k], value + value, [*value[:k], damaged_json(rng, value[k]), *value[k + 1:]]])
    return rng.choice(ODD)


def damaged_config(rng, content):
    """Return the bytes of a config.json, damaged as bytes or as JSON."""
    if rng.random() < 0.3:
        return damaged_bytes(rng, content)
    return json.dumps(damaged_json(rng, json.loads(content))).encode()


def damaged_metrics(rng, content):
    """Return the bytes of a metrics.jsonl, damaged as bytes, as lines, or in one line."""
    if rng.random() < 0.3:
        return damaged_bytes(rng, content)
    lines = content.splitlines()
    k = rng.randrange(len(lines))
    odd = rng.choice([b"", b"  ", b"garbage", b'{"loss": 1.0}', rng.choice(FOREIGN), lines[k], lines[k][:40],
                      lines[k] * 2, lines[k].replace(b'"epoch": ', b'"epoch": 7'),
                      json.dumps(damaged_json(rng, json.loads(lines[k]))).encode()])
    lines = rng.choice([lines[::-1], [*lines[:k], odd, *lines[k:]], [*lines[:k], odd, *lines[k + 1:]], lines[:k],
                        [*lines, odd]])
    return rng.choice([b"\n", b"\n", b"\r\n", b"\n\n", b"\r"]).join(lines) + rng.choice([b"\n", b""])


def damaged_checkpoint(rng, content):
    """Return the bytes of a checkpoint, damaged as bytes, in its header, in its facts or in its arrays."""
    kind = rng.random()
    if kind < 0.3:
        return damaged_bytes(rng, content)
    if kind < 0.45:
        start, end = 8, 8 + int.from_bytes(content[:8], "little")
        header = damaged_bytes(rng, content[start:end])
        return len(header).to_bytes(8, "little") + header + content[end:]
    arrays, facts = load(content), facts_of(content)
    if kind < 0.75:
        facts = damaged_json(rng, facts)
    else:
        arrays = damaged_arrays(rng, arrays)
    text = json.dumps(facts)
    return save(arrays, rng.choice([{"npse": text}] * 9 + [{"npse": text[:-1]}, {"other": text}, None]))


def damaged_arrays(rng, arrays):
    """Return named arrays, one of them with other numbers, another type, shape or name, or left out."""
    name, other = rng.choice(list(arrays)), rng.choice(list(arrays))
    array = arrays[name]
    few = array.copy()
    few.flat[rng.randrange(few.size)] = rng.choice([np.nan, np.inf, -np.inf, -1, 1e38, 0, 1e-45])
    other_type = array.astype(rng.choice(["float16", "float64", "int32", "int8", "bool", "complex64"]))
    odd = rng.choice([few, few, other_type, array.ravel()[:-1], array[None], array.ravel()[:0], np.float32(1), -array,
                      array.astype(float) * 1e300])
    return rng.choice([arrays | {name: np.ascontiguousarray(odd)}] * 3 + [
        {key: arrays[key] for key in arrays if key != name}, arrays | {f"{name}2": array},
        {f"model.{key}": arrays[key] for key in arrays}, arrays | {name: arrays[other]}, {}])


def damaged_batch(rng, content):
    """Return the bytes of a file of CIFAR-10, damaged as bytes or, for a pickle or JSON, in its content."""
    if content.startswith(b"[") and rng.random() < 0.5:
        return json.dumps(damaged_json(rng, json.loads(content))).encode()
    if content.startswith(b"\x80") and rng.random() < 0.5:
        batch = pickle.loads(content)
        name, odd = rng.choice(list(batch)), [None, 1, [], ["cat"] * 20, [-1] * 20, [300] * 20, [1.5] * 20, {}, b"x",
                                              np.zeros((20, 3072)), np.zeros((20, 3073), np.uint8), np.array([{}] * 20)]
        return pickle.dumps(rng.choice([batch | {name: rng.choice(odd)}, {name: batch[name]}, list(batch), None]))
    return damaged_bytes(rng, content)


def facts_of(content):
    """Return the entry npse in the header of a safetensors file."""
    header = json.loads(content[8:8 + int.from_bytes(content[:8], "little")])
    return json.loads(header["__metadata__"]["npse"])
