"""The draft of a root: its envelope, while signatures are still being collected, perhaps none.

With the last signature that is needed its bytes become those of the published version.
"""

from sealift_schemas.envelope import Envelope
from sealift_schemas.root import PAYLOAD_TYPE
from sealift_schemas.strictjson import DocumentError, shorten


def read_draft(data: bytes, *, what: str, limit: int) -> Envelope:
    """Read a draft of at most `limit` bytes; what is in the payload is not looked at.

    Raises:
        DocumentError: it is none, or not in its canonical encoding.
    """
    envelope = Envelope.read(data, what=what, limit=limit, least=0)
    if envelope.payload_type != PAYLOAD_TYPE:
        place = f"{what}.payloadType"
        raise DocumentError(place, PAYLOAD_TYPE, shorten(envelope.payload_type))
    return envelope
