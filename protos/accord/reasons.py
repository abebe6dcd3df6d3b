"""Every reason code a caller can meet, in one table.

A *refusal* is a row of an ordinary answer and carries denial codes, whose texts
come from the policy bundle. A *problem* is a failure: an exception here, a
`google.rpc.Status` with `ErrorInfo{reason, domain="accord"}` on the wire. This
table maps problems to gRPC status numbers
(https://grpc.github.io/grpc/core/md_doc_statuscodes.html) without importing
gRPC. No text here or made from here tells whether a person is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

DOMAIN: Final = "accord"

INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
ALREADY_EXISTS: Final = 6
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
ABORTED: Final = 10
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
DATA_LOSS: Final = 15
UNAUTHENTICATED: Final = 16


@dataclass(frozen=True, slots=True)
class Reason:
    """What a reason code means to the person who meets it.

    Attributes:
        status: gRPC status number.
        title: What went wrong, in plain English.
        cure: What can be done about it.
    """

    status: int
    title: str
    cure: str


class Problem(Exception):
    """Base of every failure that a caller is meant to tell apart.

    The message is for the process's own operator. Only `reason`, and the title and cure that REASONS gives for it,
    ever cross the wire.

    Attributes:
        reason: A key of REASONS.
    """

    reason: ClassVar[str] = "INTERNAL"


REASONS: Final[Mapping[str, Reason]] = {
    "INTERNAL": Reason(
        INTERNAL,
        "Something went wrong inside Accord",
        "Try again; if it happens twice, tell the service desk the request number.",
    ),
    "BAD_REQUEST": Reason(
        INVALID_ARGUMENT,
        "The request is not of the agreed form",
        "Update the software that made it, or check the field that is named.",
    ),
    "BAD_STATEMENT": Reason(
        INVALID_ARGUMENT,
        "The signed statement of the question does not hold together",
        "Ask again; if it happens twice, the node's keys or clock need attention: run accord-node doctor.",
    ),
    "BAD_SIGNATURE": Reason(
        UNAUTHENTICATED,
        "A signature does not match",
        "Check that the directory is current and that nobody changed the message on its way.",
    ),
    "UNAUTHENTICATED": Reason(
        UNAUTHENTICATED,
        "The sign-in or the certificate was not accepted",
        "Sign in again. If that does not help, the node's certificate may have expired: enrol again.",
    ),
    "WRONG_AGENCY": Reason(
        PERMISSION_DENIED,
        "This certificate may not speak for that agency",
        "Use the certificate that was issued to this agency.",
    ),
    "NOT_ALLOWED": Reason(
        PERMISSION_DENIED,
        "This caller may not use this service",
        "Check which process is calling: agencies, broker and steward each have their own services.",
    ),
    "DEADLINE_MISSING": Reason(
        INVALID_ARGUMENT, "The call has no deadline", "Set a deadline; two seconds is usual for a question."
    ),
    "QUESTION_UNKNOWN": Reason(
        INVALID_ARGUMENT,
        "The catalogue has no such question",
        "List the questions with: accord-node questions.",
    ),
    "UNKNOWN_AGENCY": Reason(
        INVALID_ARGUMENT, "The directory has no such agency", "List the agencies with: accord-node agencies."
    ),
    "QUERY_ID_REUSED": Reason(
        ALREADY_EXISTS, "This question number was used for another question", "Ask again with a new number."
    ),
    "IN_PROGRESS": Reason(
        ABORTED, "This question is still being asked", "Wait for its answer, then repeat the same request."
    ),
    "NOT_YOUR_QUESTION": Reason(
        PERMISSION_DENIED,
        "Only the person who asked may have the stored answer",
        "Ask the question yourself.",
    ),
    "RATE_LIMITED": Reason(
        RESOURCE_EXHAUSTED,
        "More is being asked at once than can be answered",
        "Wait the time given and try again; if it is urgent, telephone.",
    ),
    "QUOTA_EXCEEDED": Reason(
        RESOURCE_EXHAUSTED,
        "This agency has used up its allowance of keys",
        "Try again tomorrow. If an index stops here, ask the operator to enrol this agency for more records:"
        " accord-node request --records-up-to.",
    ),
    "POLICY_UNAVAILABLE": Reason(
        UNAVAILABLE,
        "The rules could not be consulted, so nothing was asked",
        "Try again shortly; if it lasts, the operator must look at the policy engine.",
    ),
    "POLICY_LATE": Reason(
        UNAVAILABLE,
        "The rules could not be consulted in time, so nothing was asked",
        "Try again shortly; if it lasts, the operator must look at the policy engine.",
    ),
    "POLICY_OTHER_REVISION": Reason(
        UNAVAILABLE,
        "The policy engine holds other rules than those in force, so nothing was asked",
        "Try again in a minute; if it lasts, the operator must look at how the policy engine gets its rules.",
    ),
    "POLICY_UNREADABLE": Reason(
        UNAVAILABLE,
        "The policy engine's answer could not be read, so nothing was asked",
        "The operator must look at the policy engine.",
    ),
    "POLICY_UNDEFINED": Reason(
        UNAVAILABLE,
        "The rules gave no decision, so nothing was asked",
        "The operator must look at the rules in force.",
    ),
    "POLICY_ERROR": Reason(
        UNAVAILABLE, "The rules failed, so nothing was asked", "The operator must look at the rules in force."
    ),
    "INPUT_INVALID": Reason(
        INVALID_ARGUMENT,
        "The question does not have the form that the rules require",
        "Update the software that made it.",
    ),
    "AUDIT_UNAVAILABLE": Reason(
        UNAVAILABLE,
        "The ledger could not be written, so nothing was released",
        "Try again shortly; if it is urgent, telephone.",
    ),
    "BAD_LEDGER": Reason(
        DATA_LOSS,
        "The ledger does not verify",
        "Stop and call the operator: nothing may be released on a ledger that was changed.",
    ),
    "BAD_CHECKPOINT": Reason(
        DATA_LOSS, "The ledger's signed head is not valid", "Stop and call the operator and the auditor."
    ),
    "CHECKPOINT_INCONSISTENT": Reason(
        DATA_LOSS,
        "The ledger's head does not extend the one seen before",
        "Stop and call the auditor: the log may have been rewritten.",
    ),
    "CHECKPOINT_OLDER": Reason(
        DATA_LOSS,
        "The ledger's head is older than one seen before",
        "Stop and call the auditor: an old copy may have been restored.",
    ),
    "CHECKPOINT_OUT_OF_STEP": Reason(
        ABORTED,
        "The proof of the ledger's head starts from another head than the one seen last",
        "Nothing needs doing: the node attaches again and gets a proof from where it stands.",
    ),
    "BAD_RECEIPT": Reason(
        DATA_LOSS,
        "The proof that the answer is in the ledger does not hold",
        "Do not use the answer. Call the auditor.",
    ),
    "BAD_ANSWER": Reason(
        DATA_LOSS,
        "An agency's signed answer does not hold",
        "Do not use that agency's answer; ring the agency.",
    ),
    "BAD_DIRECTORY": Reason(
        FAILED_PRECONDITION,
        "The federation directory is not valid",
        "Fetch it again from the federation's operator and check the pinned federation key.",
    ),
    "DIRECTORY_OLDER": Reason(
        FAILED_PRECONDITION,
        "This directory is older than the one already in use",
        "Use the newest directory.json; an older one could bring a withdrawn key back.",
    ),
    "BAD_BUNDLE": Reason(
        FAILED_PRECONDITION,
        "The policy bundle is not valid",
        "Build it again with: accord-broker policy build.",
    ),
    "BAD_CATALOGUE": Reason(
        FAILED_PRECONDITION,
        "The question catalogue is not valid",
        "Mend the question file that is named and build the bundle again.",
    ),
    "QUESTION_TOO_WIDE": Reason(
        INVALID_ARGUMENT,
        "The question asks too many agencies about too many people at once",
        "Ask about fewer people at a time, or fewer agencies.",
    ),
    "BAD_WARRANT": Reason(
        UNAUTHENTICATED, "The broker's warrant was refused", "The broker's clock or keys need attention."
    ),
    "WARRANT_REPLAYED": Reason(
        UNAUTHENTICATED,
        "A warrant was used twice",
        "Call the auditor: someone repeated a question that was already answered.",
    ),
    "CLOCK_SKEW": Reason(
        FAILED_PRECONDITION,
        "The broker's warrant is too old or too new for this machine's clock",
        "Set this machine's clock by its time server; if it is right, the broker's clock needs attention.",
    ),
    "BAD_AGREEMENT": Reason(
        INVALID_ARGUMENT, "The agreement record does not hold together", "Capture the agreement again."
    ),
    "AGREEMENT_UNKNOWN": Reason(
        FAILED_PRECONDITION,
        "There is no agreement with this number",
        "Check the number on the family's receipt.",
    ),
    "AGREEMENT_WITHDRAWN": Reason(
        FAILED_PRECONDITION,
        "The family has withdrawn this agreement",
        "Ask the family; or, for a protective purpose, ask anew under the law that covers it.",
    ),
    "AGREEMENT_EXISTS": Reason(ALREADY_EXISTS, "This agreement is already recorded", "Nothing needs doing."),
    "BAD_DESCRIPTION": Reason(
        INVALID_ARGUMENT, "The description of the person cannot be used", "Correct the field that is named."
    ),
    "TOO_LITTLE_TO_GO_ON": Reason(
        INVALID_ARGUMENT,
        "There is not enough to find this person by",
        "Add a full date of birth, or a postcode, or an earlier surname.",
    ),
    "BAD_PROOF": Reason(DATA_LOSS, "A key server's proof does not hold", "Do not ask; call the federation's operator."),
    "BAD_ENVELOPE": Reason(
        INVALID_ARGUMENT,
        "The sealed envelope cannot be opened",
        "Check that the asking node has the current directory.",
    ),
    "TOO_LONG_FOR_SLOT": Reason(
        INVALID_ARGUMENT,
        "The description and the agreement together are too long to be sent",
        "Leave out former names and postcodes, or rely on an agreement that names fewer agencies.",
    ),
    "SLOTS_DISAGREE": Reason(
        INVALID_ARGUMENT,
        "The sealed envelope contradicts itself",
        "Call the auditor: the asking node built it wrongly.",
    ),
    "WRONG_EPOCH": Reason(
        FAILED_PRECONDITION,
        "The linkage keys have changed",
        "Fetch the current directory and build the index again: accord-node index.",
    ),
    "INDEX_MISSING": Reason(
        FAILED_PRECONDITION, "This node has no complete index of its people", "Build it: accord-node index."
    ),
    "INDEX_BUSY": Reason(
        ABORTED,
        "Another job is at work on this node's index",
        "Let it end; how far it is, says: accord-node index --status.",
    ),
    "INDEX_INTERRUPTED": Reason(
        ABORTED,
        "The index was interrupted",
        "Nothing is lost: run the same command again, it goes on where it was.",
    ),
    "MAPPING_INVALID": Reason(
        FAILED_PRECONDITION,
        "The mapping to the agency's records does not fit",
        "Mend the line that is named, then: accord-node mapping check.",
    ),
    "SPREADSHEET_UNCLEAR": Reason(
        FAILED_PRECONDITION,
        "The spreadsheet is not plain enough to answer from",
        "Mend what is named, or say how it is meant, and run the same command again.",
    ),
    "RECORDS_UNAVAILABLE": Reason(
        UNAVAILABLE,
        "The agency's records cannot be read",
        "Check that the database is running and the path or account is right: accord-node mapping check.",
    ),
    "BAD_SETTINGS": Reason(FAILED_PRECONDITION, "A setting is wrong", "Mend the setting that is named."),
    "STAFF_TOKEN_REFUSED": Reason(
        UNAUTHENTICATED,
        "Your sign-in was not accepted",
        "Sign in again at your agency and repeat the request.",
    ),
    "ENROLMENT_REFUSED": Reason(
        FAILED_PRECONDITION, "The enrolment request was refused", "Make a new request with: accord-node init."
    ),
    "FILE_EXISTS": Reason(
        ALREADY_EXISTS,
        "Keys are already here and are not overwritten",
        "Choose an empty folder, or move the old one away.",
    ),
    "NODE_UNREACHABLE": Reason(
        UNAVAILABLE,
        "The broker or a key server cannot be reached",
        "Try again; if it is urgent, telephone. To see which one, and why: accord-node doctor.",
    ),
    "CERTIFICATE_UNUSABLE": Reason(
        FAILED_PRECONDITION,
        "This node's own certificate cannot be used",
        "Send request.json to the federation's operator again, then put the answer in place: accord-node join.",
    ),
    "WRONG_INSTALLATION": Reason(
        FAILED_PRECONDITION,
        "Accord is not installed as it should be",
        "Install it again with the versions that it pins.",
    ),
    "STATE_UNUSABLE": Reason(
        FAILED_PRECONDITION,
        "This process's own database cannot be used",
        "Check the path, the disk and who owns the file.",
    ),
}
"""Reason code -> what it means. Codes are never reused for another meaning."""
