"""Columns of a dataset as the features of Hugging Face `datasets`, in the form of a dataset card's metadata."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from cortex.errors import DataError

_PLAIN: dict[type[pl.DataType], str] = {
    pl.String: "string",
    pl.Boolean: "bool",
    pl.Float32: "float32",
    pl.Float64: "float64",
    pl.Int8: "int8",
    pl.Int16: "int16",
    pl.Int32: "int32",
    pl.Int64: "int64",
    pl.UInt8: "uint8",
    pl.UInt16: "uint16",
    pl.UInt32: "uint32",
    pl.UInt64: "uint64",
    pl.Date: "date32",
}


def hub_features(schema: Mapping[str, pl.DataType]) -> list[dict[str, Any]]:
    """The features of a table, each with its name.

    Raises:
        DataError: a column has a type that `datasets` has no word for here.
    """
    return [{"name": name, **_feature(name, dtype)} for name, dtype in schema.items()]


def _feature(name: str, dtype: pl.DataType) -> dict[str, Any]:
    if isinstance(dtype, pl.Datetime):
        zone = f", tz={dtype.time_zone}" if dtype.time_zone else ""
        return {"dtype": f"timestamp[{dtype.time_unit}{zone}]"}
    if isinstance(dtype, pl.Struct):
        return {"struct": hub_features({one.name: _known(one.dtype) for one in dtype.fields})}
    if isinstance(dtype, pl.List):
        inner = _feature(name, _known(dtype.inner))
        return {"list": inner.get("struct") or inner["dtype"]}
    if type(dtype) not in _PLAIN:
        raise DataError(
            f"column {name!r} is of type {dtype}, which cannot be exported: cast it in the domain's `build`"
        )
    return {"dtype": _PLAIN[type(dtype)]}


def _known(dtype: Any) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype
