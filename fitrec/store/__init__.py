"""Stores: zarr groups for domain objects, atomic writes, content hashes."""

from fitrec.atomic import atomic_path, require_absent, write_csv, write_json, write_text
from fitrec.store.codec import load, open_store, read_attributes, save
from fitrec.store.digest import content_sha256, file_sha256, json_sha256

__all__ = [
    "atomic_path",
    "content_sha256",
    "file_sha256",
    "json_sha256",
    "load",
    "open_store",
    "read_attributes",
    "require_absent",
    "save",
    "write_csv",
    "write_json",
    "write_text",
]
