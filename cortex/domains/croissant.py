"""Croissant metadata of an exported dataset: files, splits and columns as JSON-LD that dataset search and loaders read.

Croissant 1.0 of MLCommons: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification gives."""

PARQUET = "application/x-parquet"


@dataclass(frozen=True)
class DataFile:
    """A file of an exported dataset."""

    name: str
    """Name of its records, such as `train`."""
    path: str
    """Path within the folder."""
    sha256: str
    size: int
    """Bytes."""
    words: str
    """Description of its records."""


def croissant(
    *,
    name: str,
    description: str,
    licence: str,
    digest: str,
    files: Sequence[DataFile],
    schema: Mapping[str, pl.DataType],
    meanings: Mapping[str, str],
    limits: Sequence[str],
) -> dict[str, Any]:
    """The metadata: a record set for each file, with a field for each column.

    `digest` is that of the manifest of the dataset, and part of the version; `meanings` are of columns by name.
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": name,
        "description": description,
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "license": licence,
        "url": "README.md",
        "version": f"1.0.0+{digest[:12]}",
        "rai:dataLimitations": list(limits),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file.path,
                "name": file.path,
                "contentUrl": file.path,
                "contentSize": f"{file.size} B",
                "encodingFormat": PARQUET,
                "sha256": file.sha256,
            }
            for file in files
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": file.name,
                "name": file.name,
                "description": file.words,
                "key": {"@id": f"{file.name}/id"},
                "field": [_field(file, column, dtype, meanings.get(column)) for column, dtype in schema.items()],
            }
            for file in files
        ],
    }


def _field(file: DataFile, column: str, dtype: pl.DataType, meaning: str | None) -> dict[str, Any]:
    field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{file.name}/{column}", "name": column}
    if meaning:
        field["description"] = meaning
    source = {"fileObject": {"@id": file.path}, "extract": {"column": column}}
    inner: Any = dtype.inner if isinstance(dtype, pl.List) else dtype
    if isinstance(dtype, pl.List):
        field["repeated"] = True
    if isinstance(inner, pl.Struct):
        field["subField"] = [
            {
                "@type": "cr:Field",
                "@id": f"{file.name}/{column}/{one.name}",
                "name": one.name,
                "dataType": _type(one.dtype),
                "source": {**source, "transform": {"jsonPath": one.name}},
            }
            for one in inner.fields
        ]
        return field
    return {**field, "dataType": _type(inner), "source": source}


def _type(dtype: Any) -> str:
    if dtype.is_float():
        return "sc:Float"
    if dtype.is_integer():
        return "sc:Integer"
    if dtype.is_temporal():
        return "sc:Date" if dtype == pl.Date else "sc:DateTime"
    return "sc:Boolean" if dtype == pl.Boolean else "sc:Text"
