"""Documents made up by hypothesis, good by construction: written, read back, and accepted by both.

They are built as dataclasses, so that these and the schemas cannot drift apart unseen.
"""

import hashlib
import json
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry

from documents import LIMIT
from sealift_schemas.envelope import Envelope, Signature
from sealift_schemas.index import ESCAPINGS, MODES, Entry, Place, Template, read_lines
from sealift_schemas.keys import KEY, PLATFORM, TOOL_NAME
from sealift_schemas.lock import (
    FILENAME,
    RECIPES,
    WHEEL,
    Expansion,
    Lock,
    LockedArchive,
    LockedWheel,
)
from sealift_schemas.manifest import (
    DIGEST_SOURCES,
    FORMATS,
    GLIBC,
    INSTALLED_PATH,
    KINDS,
    LIBRARY,
    LINK_NAME,
    PREFIX,
    SOURCE_KINDS,
    STREAM,
    VERSION,
    Archive,
    Manifest,
    Requirements,
    Source,
)
from sealift_schemas.missing import PROJECT, MissingWheel
from sealift_schemas.payload import BUNDLE_PATH, CHUNK_SIZE, BundleFile
from sealift_schemas.receipt import (
    ACTIONS,
    ArchiveIdentity,
    BundleIdentity,
    Receipt,
)
from sealift_schemas.resources import read_schema
from sealift_schemas.root import ROLES, SCHEMES, PublicKey, Role, Root, StreamRule
from sealift_schemas.spec import EACH, MINOR_VERSION
from sealift_schemas.strictjson import LARGEST_INTEGER, TIME


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(read_schema(name)), registry=Registry())


def like(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True)


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
sha256 = st.binary(max_size=4).map(lambda data: hashlib.sha256(data).hexdigest())
times = like(TIME.pattern)
counts = st.integers(1, LARGEST_INTEGER)
sizes = st.integers(0, LARGEST_INTEGER)
platforms = st.just("any") | like(PLATFORM.pattern)
links = st.dictionaries(like(LINK_NAME.pattern), like(INSTALLED_PATH.pattern), max_size=2)
prefixes = st.none() | like(PREFIX.pattern)


@st.composite
def bundle_files(draw: st.DrawFn, path: str) -> BundleFile:
    size = draw(st.integers(0, 2 * CHUNK_SIZE + 1))
    digest = draw(sha256)
    number = -(-size // CHUNK_SIZE)
    if number == 1:
        return BundleFile(path, size, digest, (digest,))
    return BundleFile(path, size, digest, tuple(draw(sha256) for _ in range(number)))


@st.composite
def archives(draw: st.DrawFn, name: str, files: list[BundleFile]) -> Archive:
    parts = draw(st.lists(st.sampled_from(files), min_size=1, max_size=2))
    return Archive(
        name=name,
        kind=draw(st.sampled_from(KINDS)),
        version=draw(like(VERSION.pattern)),
        platform=draw(platforms),
        format=draw(st.sampled_from(FORMATS)),
        size=sum(part.size for part in parts),
        sha256=draw(sha256),
        parts=tuple(part.path for part in parts),
        index=draw(st.sampled_from(files)).path,
        members=draw(sizes),
        unpacked=draw(sizes),
        source=Source(
            draw(st.sampled_from(SOURCE_KINDS)),
            draw(text),
            draw(text),
            draw(st.sampled_from(DIGEST_SOURCES)),
        ),
        prefix=draw(prefixes),
        interpreter=draw(st.none() | like(INSTALLED_PATH.pattern)),
        links=draw(links),
        requires=Requirements(
            draw(st.none() | like(GLIBC.pattern)),
            tuple(draw(st.lists(like(LIBRARY.pattern), max_size=2))),
        ),
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    paths = draw(st.lists(like(BUNDLE_PATH.pattern), max_size=4, unique_by=str.lower))
    files = [draw(bundle_files(path)) for path in sorted(paths)]
    names: list[str] = []
    filled = [file for file in files if file.size]
    if filled:
        tools = like(TOOL_NAME.pattern) | like(KEY.pattern).filter(TOOL_NAME.fullmatch)
        names = draw(st.lists(tools, max_size=2, unique=True))
    return Manifest(
        stream=draw(like(STREAM.pattern)),
        epoch=draw(counts),
        sequence=draw(counts),
        created=draw(times),
        expires=draw(st.none() | times),
        generator=draw(text),
        installer="0.1.0",
        files=tuple(files),
        archives=tuple(draw(archives(name, filled)) for name in names),
    )


@settings(max_examples=60, deadline=None)
@given(manifests())
def test_manifests(manifest: Manifest) -> None:
    validator("manifest").validate(json.loads(manifest.encode()))
    assert Manifest.read(manifest.encode(), limit=LIMIT) == manifest


locked = st.builds(
    LockedArchive,
    name=like(TOOL_NAME.pattern),
    kind=st.sampled_from(KINDS),
    source=st.sampled_from(SOURCE_KINDS),
    request=text,
    version=like(VERSION.pattern),
    platform=platforms,
    url=text,
    filename=like(FILENAME.pattern),
    format=st.sampled_from(FORMATS),
    sha256=sha256,
    size=counts,
    digest_source=st.sampled_from(DIGEST_SOURCES),
    recipe=st.sampled_from(RECIPES),
    strip=st.none() | st.integers(0, 16),
    prefix=prefixes,
    build=st.none() | text,
    links=links,
)
wheels = st.builds(LockedWheel, filename=like(WHEEL.pattern), url=text, sha256=sha256, size=counts)
missing = st.builds(
    MissingWheel,
    name=like(PROJECT.pattern),
    version=like(VERSION.pattern),
    platform=like(PLATFORM.pattern),
    pythons=st.lists(like(MINOR_VERSION.pattern), max_size=2).map(tuple),
)
expansions = st.builds(
    Expansion,
    request=text,
    names=st.lists(like(TOOL_NAME.pattern), max_size=2).map(tuple),
    platforms=st.lists(like(PLATFORM.pattern), max_size=2).map(tuple),
    each=st.none() | st.sampled_from(EACH),
    all_platforms=st.booleans(),
)
locks = st.builds(
    Lock,
    stream=like(STREAM.pattern),
    sequence=counts,
    created=times,
    spec=sha256,
    archives=st.lists(
        locked, max_size=3, unique_by=(lambda each: each.name, lambda each: each.sha256)
    ).map(tuple),
    wheels=st.lists(wheels, max_size=2).map(tuple),
    missing_wheels=st.lists(missing, max_size=2).map(tuple),
    expires=st.none() | times,
    expansions=st.lists(expansions, max_size=2).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(locks)
def test_locks(lock: Lock) -> None:
    validator("lock").validate(json.loads(lock.encode()))
    assert Lock.read(lock.encode()) == lock


@st.composite
def roots(draw: st.DrawFn) -> Root:
    keyids = draw(st.lists(sha256, min_size=1, max_size=4, unique=True))

    def role() -> Role:
        keys = draw(st.lists(st.sampled_from(keyids), min_size=1, unique=True))
        return Role(tuple(keys), draw(st.integers(1, len(keys))))

    public = st.binary(min_size=30, max_size=91)
    schemes = tuple(draw(st.lists(st.sampled_from(SCHEMES), min_size=1)))
    return Root(
        version=draw(counts),
        created=draw(times),
        expires=draw(st.none() | times),
        schemes=schemes,
        keys={keyid: PublicKey(draw(st.sampled_from(schemes)), draw(public)) for keyid in keyids},
        roles={name: role() for name in ROLES},
        streams=draw(
            st.dictionaries(
                like(STREAM.pattern), st.builds(StreamRule, epoch=counts, min_sequence=sizes)
            )
        ),
        withdrawn=tuple(draw(st.lists(sha256))),
    )


@settings(max_examples=60, deadline=None)
@given(roots())
def test_roots(root: Root) -> None:
    validator("root").validate(json.loads(root.encode()))
    assert Root.read(root.encode(), what="root", limit=LIMIT) == root


@st.composite
def templates(draw: st.DrawFn) -> Template:
    size = draw(sizes)
    offsets = sorted(draw(st.lists(st.integers(0, size), max_size=3)))
    escapings = st.lists(st.sampled_from(ESCAPINGS), min_size=1, max_size=3).map("+".join)
    return Template(draw(sha256), size, tuple(Place(at, draw(escapings)) for at in offsets))


def entries() -> st.SearchStrategy[Entry]:
    mode = st.sampled_from(MODES)
    member = {"type": st.just("file"), "member": text, "mode": mode, "size": sizes}
    hashed = {**member, "sha256": sha256}
    link = {"type": st.sampled_from(("link", "hardlink")), "target": text}
    directory = {"type": st.just("directory"), "member": text}
    dropped = {"path": st.none(), "dropped": text}
    return st.one_of(
        st.builds(Entry, path=text, kept=st.none() | text, **hashed),
        st.builds(Entry, path=text, template=templates(), **hashed),
        st.builds(Entry, **dropped, **hashed),
        st.builds(
            Entry,
            type=st.just("file"),
            path=text,
            member=st.none(),
            mode=mode,
            template=templates(),
        ),
        st.builds(
            Entry, path=text, member=st.none() | text, installed_target=st.none() | text, **link
        ),
        st.builds(Entry, member=text, **dropped, **link),
        st.builds(Entry, path=text, **directory),
        st.builds(Entry, **dropped, **directory),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(entries(), max_size=5))
def test_indexes(index: list[Entry]) -> None:
    data = b"".join(entry.encode() for entry in index)
    for line in data.splitlines():
        validator("index").validate(json.loads(line))
    assert list(read_lines(data, what="index", limit=LIMIT)) == index


receipts = st.builds(
    Receipt,
    number=counts,
    previous=sha256,
    clock=times,
    floor=st.none() | times,
    tool=text,
    host=text,
    user=text,
    action=st.sampled_from(ACTIONS),
    detail=text,
    bundle=st.none()
    | st.builds(
        BundleIdentity,
        manifest=sha256,
        stream=like(STREAM.pattern),
        epoch=counts,
        sequence=counts,
        root_version=counts,
        signers=st.lists(sha256, max_size=2).map(tuple),
    ),
    archive=st.none()
    | st.builds(
        ArchiveIdentity,
        name=like(TOOL_NAME.pattern),
        sha256=sha256,
        path=text,
        index=st.none() | sha256,
        members=st.none() | counts,
        unpacked=st.none() | counts,
    ),
    root_version=st.none() | counts,
    state=st.none() | sha256,
    overrides=st.dictionaries(text, text, max_size=2),
)


@settings(max_examples=60, deadline=None)
@given(receipts)
def test_receipts(receipt: Receipt) -> None:
    validator("receipt").validate(json.loads(receipt.encode()))
    assert Receipt.read(receipt.encode(), what="receipt") == receipt


envelopes = st.builds(
    Envelope,
    payload=st.binary(max_size=20),
    payload_type=text,
    signatures=st.lists(
        st.builds(Signature, keyid=sha256, signature=st.binary(max_size=20)),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=60, deadline=None)
@given(envelopes)
def test_envelopes(envelope: Envelope) -> None:
    validator("envelope").validate(json.loads(envelope.encode()))
    assert Envelope.read(envelope.encode(), what="envelope", limit=LIMIT) == envelope
