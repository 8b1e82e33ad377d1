"""What the sender of a message must fix, with the place and HL7 code that go into an ERR segment.

A fault carries a fixed sentence: nothing out of the message is ever repeated in it.
"""

from typing import Final

from engine.kernel.errors import Invalid

SEGMENT_SEQUENCE: Final = "100"
REQUIRED_FIELD_MISSING: Final = "101"
DATA_TYPE: Final = "102"
TABLE_VALUE: Final = "103"
UNSUPPORTED_MESSAGE: Final = "200"
UNSUPPORTED_PROCESSING_ID: Final = "202"
UNSUPPORTED_VERSION: Final = "203"
RECORD_LOCKED: Final = "206"
INTERNAL_ERROR: Final = "207"

CODE_TEXTS: Final = {
    SEGMENT_SEQUENCE: "Segment sequence error",
    REQUIRED_FIELD_MISSING: "Required field missing",
    DATA_TYPE: "Data type error",
    TABLE_VALUE: "Table value not found",
    UNSUPPORTED_MESSAGE: "Unsupported message type",
    UNSUPPORTED_PROCESSING_ID: "Unsupported processing id",
    UNSUPPORTED_VERSION: "Unsupported version id",
    RECORD_LOCKED: "Application record locked",
    INTERNAL_ERROR: "Application internal error",
}
"""The HL7 table 0357 codes this engine uses."""


class SenderFault(Invalid):
    """The message cannot be taken until its sender mends it.

    `segment` is the segment's name, `position` its field number or None for the whole segment, `code` of HL7
    table 0357, `why` a sentence without patient data, `nth` which segment of that name.
    """

    def __init__(self, segment: str, position: int | None, code: str, why: str, *, nth: int = 1) -> None:
        place = segment if nth == 1 else f"{segment}[{nth}]"
        super().__init__(place if position is None else f"{place}-{position}", why)
        self.segment = segment
        self.nth = nth
        self.position = position
        self.code = code
