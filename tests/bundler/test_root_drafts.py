import shutil
import threading
from dataclasses import replace

import pytest

from sealift_bundler import root_drafts
from sealift_bundler.keys import KeyFiles, create_key, keyid
from sealift_bundler.root_draft_file import draft_path, find_draft, read_draft
from sealift_bundler.root_drafts import create_draft, merge_drafts
from sealift_bundler.root_plan import RootChanges, RootPlan, first_root, next_root
from sealift_bundler.root_publish import publish, walk_chain
from sealift_bundler.roots import newest_root, read_roots
from sealift_bundler.sign import FileSigner
from sealift_installer.errors import (
    Damaged,
    HostError,
    RefusedByPolicy,
    Untrusted,
    UsageError,
)
from sealift_schemas.envelope import Envelope, Signature
from sealift_schemas.root import PAYLOAD_TYPE

TIME = "2026-01-31T09:00:00Z"


@pytest.fixture(scope="module")
def signers(tmp_path_factory):
    made = {}
    folder = tmp_path_factory.mktemp("keys")
    for name in ("a", "b", "c", "d", "e"):
        files = KeyFiles.named(folder, name)
        create_key(files, "p256", None)
        made[name] = FileSigner.load(files.private)
    return made


@pytest.fixture
def folder(tmp_path, signers):
    """Version 1, two of a, b, c; and a draft of version 2, where d is in the place of c."""
    folder = tmp_path / "root"
    members = [signers[name].public for name in ("a", "b", "c")]
    roles = dict.fromkeys(("root", "release"), (members, 2))
    plan = RootPlan("line", TIME, {**roles, "builder": (members, 1)})
    draft = create_draft(folder, first_root(plan), [signers["a"], signers["b"]])
    assert publish(folder, draft) is not None
    changes = RootChanges(TIME, replaced=[(keyid(signers["c"].public), signers["d"].public)])
    create_draft(folder, next_root(newest_root(folder).root, changes))
    return folder


def missing(draft):
    return [(wanted.version, wanted.missing) for wanted in draft.wanted]


def carried(folder, place, *, whole=True):
    """Copy the roots, or the draft alone, to another machine; return the copy of the draft."""
    place.mkdir()
    for path in folder.iterdir() if whole else [draft_path(folder, 2)]:
        shutil.copy(path, place)
    return draft_path(place, 2)


def sign_draft(path, keys, output=None):
    """Sign the draft at `path` as it is now."""
    return root_drafts.sign_draft(read_draft(path), keys, output)


def test_both_thresholds_are_needed(folder, signers):
    path = find_draft(folder)
    assert missing(read_draft(path)) == [(1, 2), (2, 2)]
    draft = sign_draft(path, [signers["c"], signers["a"]])
    assert missing(draft) == [(1, 0), (2, 1)]
    assert publish(folder, draft) is None
    draft = sign_draft(path, [signers["d"]])
    root = publish(folder, draft)
    assert root.version == 2
    assert not path.exists()
    assert find_draft(folder) is None
    first, second = walk_chain(read_roots(folder))
    assert second.root == draft.root
    assert second.sha256 == root.sha256
    assert first.root.version == 1


def test_one_who_signs_twice_counts_once(folder, signers):
    path = find_draft(folder)
    for _ in range(2):
        draft = sign_draft(path, [signers["a"], signers["a"]])
    assert missing(draft) == [(1, 1), (2, 1)]


def test_signatures_come_together_from_several_machines(folder, signers, tmp_path):
    copies = [carried(folder, tmp_path / name) for name in ("one", "two")]
    sign_draft(copies[0], [signers["a"]])
    sign_draft(copies[1], [signers["b"]])
    draft = merge_drafts(find_draft(folder), copies)
    assert missing(draft) == [(1, 0), (2, 0)]
    assert publish(folder, draft).version == 2


def test_the_order_of_signing_leaves_no_trace(folder, signers, tmp_path):
    one, two = (carried(folder, tmp_path / name) for name in ("one", "two"))
    for name in ("a", "b", "d"):
        sign_draft(one, [signers[name]])
    sign_draft(two, [signers[name] for name in ("d", "b", "a")])
    assert one.read_bytes() == two.read_bytes()


def test_a_draft_on_a_medium_that_cannot_be_written(folder, signers, tmp_path):
    path = carried(folder, tmp_path / "stick")
    before = path.read_bytes()
    out = tmp_path / "signed.json"
    sign_draft(path, [signers["a"]], out)
    sign_draft(path, [signers["b"]], out)
    assert path.read_bytes() == before
    assert missing(merge_drafts(find_draft(folder), [out])) == [(1, 0), (2, 0)]


def test_an_old_key_signs_where_the_version_before_lies_beside(folder, signers, tmp_path):
    alone = carried(folder, tmp_path / "alone", whole=False)
    with pytest.raises(UsageError, match="the key has no say in root version 2") as caught:
        sign_draft(alone, [signers["c"]])
    assert caught.value.hint == "a root key of version 1 signs where 1.root.dsse.json lies beside"
    draft = sign_draft(alone, [signers["d"]])
    assert missing(draft) == [(2, 1)]
    assert not draft.complete
    both = carried(folder, tmp_path / "both")
    assert missing(sign_draft(both, [signers["c"]])) == [(1, 1), (2, 2)]


def test_a_stranger_has_no_say(folder, signers):
    with pytest.raises(UsageError, match="the key has no say in root version 2"):
        sign_draft(find_draft(folder), [signers["e"]])
    assert missing(read_draft(find_draft(folder))) == [(1, 2), (2, 2)]


def test_a_strangers_signature_is_not_merged(folder, signers, tmp_path):
    copy = carried(folder, tmp_path / "copy")
    draft = read_draft(copy)
    name = keyid(signers["e"].public)
    forged = Signature(name, signers["e"].sign(draft.envelope.signed_bytes))
    copy.write_bytes(replace(draft.envelope, signatures=(forged,)).encode())
    with pytest.raises(Untrusted, match="by a key that has no say in it"):
        merge_drafts(find_draft(folder), [copy])


def test_a_signature_over_something_else_is_refused(folder, signers, tmp_path):
    copy = carried(folder, tmp_path / "copy")
    draft = read_draft(copy)
    forged = Signature(keyid(signers["a"].public), signers["a"].sign(b"something else"))
    copy.write_bytes(replace(draft.envelope, signatures=(forged,)).encode())
    with pytest.raises(Untrusted, match="does not verify"):
        merge_drafts(find_draft(folder), [copy])
    with pytest.raises(Untrusted, match="does not verify"):
        sign_draft(copy, [signers["b"]])


def test_another_draft_of_the_same_version_does_not_join(folder, signers, tmp_path):
    copy = carried(folder, tmp_path / "copy")
    copy.unlink()
    changes = RootChanges(TIME, epochs={"line": None})
    create_draft(copy.parent, next_root(newest_root(folder).root, changes), [signers["a"]])
    with pytest.raises(UsageError, match="it is no copy of the draft"):
        merge_drafts(find_draft(folder), [copy])


def test_a_second_draft_is_not_made_over_the_first(folder):
    root = newest_root(folder).root
    with pytest.raises(UsageError, match="there is a draft already") as caught:
        create_draft(folder, next_root(root, RootChanges(TIME, epochs={"line": None})))
    assert "delete the file to start anew" in caught.value.hint


def test_a_published_version_never_changes(folder, signers, tmp_path):
    late = carried(folder, tmp_path / "late")
    publish(folder, sign_draft(find_draft(folder), [signers["a"], signers["b"]]))
    before = (folder / "2.root.dsse.json").read_bytes()
    shutil.copy(late, folder)
    assert find_draft(folder) is None
    draft = sign_draft(draft_path(folder, 2), [signers[name] for name in ("a", "b", "d")])
    with pytest.raises(UsageError, match="it is published already"):
        publish(folder, draft)
    assert (folder / "2.root.dsse.json").read_bytes() == before


def test_a_root_of_a_time_to_come_is_neither_drafted_nor_signed(folder, signers):
    root = replace(newest_root(folder).root, version=2, created="2255-01-01T00:00:00Z")
    path = find_draft(folder)
    path.unlink()
    with pytest.raises(RefusedByPolicy, match="more than a day ahead"):
        create_draft(folder, root)
    path.write_bytes(Envelope(root.encode(), PAYLOAD_TYPE, ()).encode())
    with pytest.raises(RefusedByPolicy, match="more than a day ahead"):
        sign_draft(path, [signers["a"]])


@pytest.mark.parametrize("text", ["{}", "", '{"payload":"","payloadType":"x","signatures":[]}\n'])
def test_what_is_no_draft(folder, text):
    path = find_draft(folder)
    path.write_text(text)
    with pytest.raises(Damaged, match="is malformed"):
        read_draft(path)


def test_a_key_under_another_id_is_refused(folder, signers):
    path = find_draft(folder)
    draft = read_draft(path)
    named = {"0" * 64: signers["a"].public, **draft.root.keys}
    root = replace(draft.root, keys=named)
    path.write_bytes(Envelope(root.encode(), PAYLOAD_TYPE, ()).encode())
    with pytest.raises(Untrusted, match="another id than it claims"):
        read_draft(path)


def test_the_version_beside_must_be_the_one_before(folder):
    shutil.copy(find_draft(folder), folder / "x")
    root = replace(newest_root(folder).root, version=3)
    draft_path(folder, 4).write_bytes(
        Envelope(replace(root, version=4).encode(), PAYLOAD_TYPE, ()).encode()
    )
    shutil.copy(folder / "1.root.dsse.json", folder / "3.root.dsse.json")
    with pytest.raises(Damaged, match="another version than its name says"):
        read_draft(draft_path(folder, 4))


def test_what_is_signed_is_what_was_shown(folder, signers, tmp_path):
    """Whoever carries the draft could else put another one in its place in the meantime."""
    path = carried(folder, tmp_path / "stick")
    shown = read_draft(path)
    other = replace(shown.root, expires="2030-01-01T00:00:00Z")
    path.write_bytes(Envelope(other.encode(), PAYLOAD_TYPE, ()).encode())
    before = path.read_bytes()
    for output in (None, tmp_path / "out.json"):
        with pytest.raises(Damaged, match="the draft has changed since it was shown"):
            root_drafts.sign_draft(shown, [signers["a"]], output)
    assert path.read_bytes() == before
    assert not (tmp_path / "out.json").exists()


def test_a_signature_that_came_after_it_was_shown_is_kept(folder, signers):
    shown = read_draft(find_draft(folder))
    sign_draft(find_draft(folder), [signers["b"]])
    assert missing(root_drafts.sign_draft(shown, [signers["a"]])) == [(1, 0), (2, 0)]


def test_a_folder_that_is_not_there(folder, tmp_path, signers):
    path = tmp_path / "none" / "2.root.draft.json"
    with pytest.raises(HostError, match="cannot open the folder of the draft"):
        root_drafts.sign_draft(replace(read_draft(find_draft(folder)), path=path), [signers["a"]])
    assert find_draft(tmp_path / "none") is None


def test_two_who_sign_at_once_both_count(folder, signers):
    """The second waits for the first: it would else write a draft without its signature."""
    path = find_draft(folder)

    class Slow:
        public = signers["a"].public

        def sign(self, data):
            self.other = threading.Thread(target=sign_draft, args=(path, [signers["b"]]))
            self.other.start()
            self.other.join(0.3)
            return signers["a"].sign(data)

    slow = Slow()
    sign_draft(path, [slow])
    slow.other.join()
    assert missing(read_draft(path)) == [(1, 0), (2, 0)]
