"""Opens what fewbits exports as its readers do, and holds it against what it must be.

Usage: open.py FOLDER SCHEMA, where FOLDER has what tests/exports.rs wrote. Says `good` at the end.
"""

import json
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq

folder, schema = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())

# What each column of the long table is: Parquet, pandas of CSV, polars. Metrics are always real numbers.
LONG = {
    "seed": ("int64", "int64", pl.Int64),
    "dropout": ("double", "float64", pl.Float64),
    "setting": ("string", "str", pl.String),
    "setting.batch": ("int64", "int64", pl.Int64),
    "setting.fast": ("bool", "bool", pl.Boolean),
    "format": ("string", "str", pl.String),
    "format.bits": ("int64", "float64", pl.Int64),
    "format.e": ("int64", "float64", pl.Int64),
    "rounding": ("string", "str", pl.String),
    "mnist.train_images": ("double", "float64", pl.Float64),
    "net.validation_accuracy": ("double", "float64", pl.Float64),
    "accuracy.accuracy": ("double", "float64", pl.Float64),
    "small.seconds": ("double", "float64", pl.Float64),
}


def same(ours, theirs):
    """Tells whether two values are the same; null is NaN for pandas."""
    if ours is None or theirs is None or theirs != theirs:
        return ours is None and (theirs is None or theirs != theirs)
    return ours == theirs and isinstance(ours, (bool, np.bool_)) == isinstance(theirs, (bool, np.bool_))


def table(name):
    """Returns the rows of a table's JSON, after CSV and Parquet were found to say the same."""
    rows = json.loads((folder / f"{name}.json").read_text())
    names = list(dict.fromkeys(key for row in rows for key in row))
    csv = folder / f"{name}.csv"
    parquet = folder / f"{name}.parquet"
    readings = {
        "pandas csv": pd.read_csv(csv).to_dict("records"),
        "pandas parquet": pd.read_parquet(parquet).to_dict("records"),
        "polars csv": pl.read_csv(csv, infer_schema_length=None).to_dicts(),
        "polars parquet": pl.read_parquet(parquet).to_dicts(),
        "pyarrow parquet": pq.read_table(parquet).to_pylist(),
        "pandas json": pd.read_json(folder / f"{name}.json", precise_float=True).to_dict("records"),
        "polars json": pl.read_json(folder / f"{name}.json", infer_schema_length=None).to_dicts(),
    }
    for reader, found in readings.items():
        assert len(found) == len(rows), (reader, len(found))
        # An object has no order for polars.
        order = sorted if reader == "polars json" else list
        for ours, theirs in zip(rows, found):
            assert order(theirs) == order(names), (reader, list(theirs))
            for key in names:
                a, b = ours.get(key), theirs[key]
                # Not every version of pandas reads the nearest number from text.
                is_near = reader in ("pandas csv", "pandas json") and type(a) is float and abs(a - b) <= 1e-14 * abs(a)
                assert is_near or same(a, b), (reader, key, a, b)
    return rows


def check_long():
    rows = table("long")
    assert len(rows) == 32, len(rows)
    types = {field.name: str(field.type) for field in pq.read_schema(folder / "long.parquet")}
    pandas = pd.read_csv(folder / "long.csv").dtypes
    polars = pl.read_parquet(folder / "long.parquet").schema
    for name, (parquet, of_pandas, of_polars) in LONG.items():
        assert types[name] == parquet, (name, types[name])
        assert str(pandas[name]) in (of_pandas, "object" if of_pandas == "str" else of_pandas), (name, pandas[name])
        assert polars[name] == of_polars, (name, polars[name])
    jsonschema.Draft202012Validator(schema["$defs"]["long"] | {"$defs": schema["$defs"]}).validate(rows)


def check_named():
    rows = table("list")
    # Intervals over seeds, and how many there were; texts that a spreadsheet would take for a formula.
    assert set(rows[0]) >= {"format", "=loss", "=loss.low", "=loss.high", "=loss.n"}, rows[0]
    assert all(row["=loss.n"] == 2 for row in rows)
    jsonschema.Draft202012Validator(schema["$defs"]["named"] | {"$defs": schema["$defs"]}).validate(rows)


def check_choice():
    answer = json.loads((folder / "choice.json").read_text())
    jsonschema.Draft202012Validator(schema["$defs"]["choice"] | {"$defs": schema["$defs"]}).validate(answer)
    chosen = answer["points"][0]
    drops = ["full.accuracy - accuracy.accuracy" + end for end in ("", ".high")]
    assert answer["fits"] and answer["sentences"][0].startswith("Choose "), answer
    # The one-sided bound of 95 % lies between the mean and the upper end of the two-sided interval.
    assert chosen["values"][drops[0]] <= chosen["drop_bound"] <= chosen["values"][drops[1]], chosen


def check_schema():
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for name in ("long", "list"):
        validator.validate(json.loads((folder / f"{name}.json").read_text()))
    for bad in ({}, [1], [{"a": {}}], [{"a": [1]}], [{}]):
        assert not validator.is_valid(bad), bad


def two_complement(code, bits):
    return code - (1 << bits) if code >> (bits - 1) else code


def e2m1(code):
    sign, exponent, mantissa = code >> 3, code >> 1 & 3, code & 1
    size = mantissa / 2 if exponent == 0 else 2.0 ** (exponent - 1) * (1 + mantissa / 2)
    return -size if sign else size


def numbers(arrays, tensor):
    """Returns the weights of a tensor from its codes, as docs/exports.md says, or None if it has none."""
    if f"{tensor}/codes" not in arrays:
        return None
    codes, how = arrays[f"{tensor}/codes"], json.loads(arrays["meta.json"])["tensors"][tensor]
    scales = arrays.get(f"{tensor}/scales", np.ones((1, 1), np.float32))

    def spread(groups):
        rows = codes.reshape(len(groups), -1)
        return np.repeat(groups, how["block"], axis=1)[:, : rows.shape[1]].reshape(codes.shape)

    if f"{tensor}/zero_points" in arrays:
        values = codes.astype(np.int64) - spread(arrays[f"{tensor}/zero_points"].astype(np.int64))
    else:
        values = arrays[f"{tensor}/codebook"][codes]
    return (values * spread(scales.astype(np.float64))).astype(np.float32) + np.float32(0)


def model(name):
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    meta = json.loads(arrays["meta.json"])
    assert meta["task"].startswith("net(" if name == "net" else name) and len(meta["key"]) == 64, meta
    assert meta["fewbits"] and meta["made_of"]["op"] == ("train" if name == "net" else "quantize"), meta
    shapes = {"linear1.bias": (8,), "linear1.weight": (8, 784), "linear2.bias": (10,), "linear2.weight": (10, 8)}
    assert set(meta["tensors"]) == set(shapes), meta
    for tensor, shape in shapes.items():
        weight = arrays[f"{tensor}/weight"]
        assert weight.shape == shape and weight.dtype == np.float32, (tensor, weight.dtype, weight.shape)
        found = numbers(arrays, tensor)
        assert (found is None) == (meta["tensors"][tensor] is None), tensor
        if found is not None:
            assert found.tobytes() == weight.tobytes(), (name, tensor)
    return arrays, meta


def check_models():
    trained, meta = model("net")
    assert not any("/codes" in key for key in trained)
    quantized = {}
    for name in ("int", "float", "blocks", "kmeans", "wide"):
        arrays, meta = model(name)
        quantized[name] = arrays
        assert arrays["linear1.weight/weight"].any(), name
        assert (arrays["linear1.bias/weight"] == trained["linear1.bias/weight"]).all(), name
        assert (arrays["linear1.weight/weight"] != trained["linear1.weight/weight"]).any(), name
    # Codes read without the codebook, by what the formats are.
    for name, decode in (("int", lambda code: two_complement(code, 4)), ("float", e2m1)):
        arrays = quantized[name]
        codes, scales = arrays["linear1.weight/codes"], arrays["linear1.weight/scales"]
        assert codes.dtype == np.uint8 and codes.max() < 16 and len(np.unique(codes)) > 4, name
        assert scales.shape == (8, 1) and scales.dtype == np.float32 and len(np.unique(scales)) == 8, name
        values = np.vectorize(decode, otypes=[np.float64])(codes)
        weight = (values * scales.astype(np.float64)).astype(np.float32) + np.float32(0)
        assert (weight == arrays["linear1.weight/weight"]).all(), name
    # Blocks of 10 in rows of 784 and 8, with zero points of 5 bits; the last layer has a format of its own.
    assert quantized["blocks"]["linear1.weight/zero_points"].shape == (8, 79)
    assert meta["tensors"]["linear1.bias"] is None
    assert len(quantized["kmeans"]["linear1.weight/codebook"]) == 8
    assert "linear1.weight/scales" not in quantized["kmeans"]
    assert quantized["kmeans"]["linear2.weight/codes"].dtype == np.uint8
    assert quantized["wide"]["linear1.weight/codes"].dtype == np.uint16


check_long()
check_named()
check_choice()
check_schema()
check_models()
print("good")
