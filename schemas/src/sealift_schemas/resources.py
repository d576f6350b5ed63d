"""The JSON Schema files (draft 2020-12), by name. They need no other document: each is whole.

The strict readers of this package decide what a program accepts; the schemas say the same to
editors, to people and to jsonschema in the bundler. A contract test holds the two together.
"""

from importlib.resources import files

SCHEMAS = (
    "spec",
    "lock",
    "manifest",
    "root",
    "draft",
    "index",
    "receipt",
    "head",
    "envelope",
    "provenance",
    "vsa",
    "policy",
)


def read_schema(name: str) -> bytes:
    """Return the bytes of the schema `name`, one of `SCHEMAS`.

    Raises:
        KeyError: there is no schema of that name.
    """
    if name not in SCHEMAS:
        raise KeyError(name)
    return files("sealift_schemas").joinpath("files", f"{name}.schema.json").read_bytes()
