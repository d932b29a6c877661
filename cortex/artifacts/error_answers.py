"""A table of a bucket's error answers: how often each is worth a retry, and its fix.

Sources: "Error responses" and "Best practices for error handling" of Amazon S3; answers seen of MinIO, rclone and B2.
"""

import math
import re
from dataclasses import dataclass

from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError

FINAL, FEW, ALWAYS = 1.0, 3.0, math.inf
"""Attempts that an answer is worth: one; as many as outlast a renewal of keys or a proxy's short failure, some seconds;
or as many as the store's patience allows."""


@dataclass(frozen=True)
class Answer:
    """A kind of answer: the pattern of its error, the attempts that it is worth, and the user's fix."""

    pattern: re.Pattern[str]
    attempts: float
    fix: str = ""
    about_credentials: bool = False
    """True if the bucket did not accept the credentials."""


def _answer(pattern: str, attempts: float, fix: str = "", *, about_credentials: bool = False) -> Answer:
    return Answer(re.compile(pattern), attempts, fix, about_credentials)


_REGION = "the bucket is in another region: set AWS_REGION to its own"
_NO_BUCKET = "there is no such bucket; name yours with CORTEX_BUCKET, or raise one: make infra-up"
_NO_S3 = "what answers is no S3 server: look at AWS_ENDPOINT_URL, at the proxy, and for a login page in between"
_UNABLE = "the server cannot do this; keep runs in a bucket that can"
_RENEW = "the credentials are not accepted (any more); renew them, then run this again"
_DENIED = (
    "it is another account's, or these credentials may not use it; name yours with CORTEX_BUCKET, or take credentials "
    "that may (AWS_PROFILE)"
)
_FULL = "the server has no room left, or your quota is used up; make room, then run this again"

ANSWERS = (
    # The server's own codes come first: they say more than the status.
    _answer("RequestTimeTooSkewed|RequestExpired", FINAL, "this machine's clock is wrong; set it"),
    _answer("NoSuchBucket|ContainerNotFound", FINAL, _NO_BUCKET),
    _answer("InvalidBucketName", FINAL, "no bucket can have this name; correct CORTEX_BUCKET"),
    _answer("SignatureDoesNotMatch", FINAL, "AWS_SECRET_ACCESS_KEY is not that of AWS_ACCESS_KEY_ID; copy both anew"),
    _answer(
        "without LOCATION|PermanentRedirect|InvalidRegion|AuthorizationHeaderMalformed|IllegalLocation", FINAL, _REGION
    ),
    _answer(
        "ExpiredToken|InvalidAccessKeyId|InvalidToken|TokenRefreshRequired|InvalidClientTokenId",
        FEW,
        _RENEW,
        about_credentials=True,
    ),
    _answer(
        "InvalidObjectState|KMS\\.|AccountProblem|AllAccessDisabled|NotSignedUp", FINAL, "the owner must enable it"
    ),
    _answer("QuotaExceeded|StorageFull|status code: 507", FINAL, _FULL),
    _answer("AccessDenied", FEW, _DENIED, about_credentials=True),
    _answer("RequestTimeout|SlowDown|OperationAborted|InternalError|ServiceUnavailable|Throttling|ServerBusy", ALWAYS),
    _answer("BadDigest|IncompleteBody|XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch", FEW),
    # Then answers that are not S3's protocol.
    _answer("Got invalid|unable to extract metadata|Unable to extract metadata|is no S3 listing", FEW, _NO_S3),
    _answer("error following redirect", FEW, _NO_S3),
    # Then the HTTP status.
    _answer("status code: 3..", FINAL, "it sends elsewhere: set AWS_ENDPOINT_URL to where, and AWS_REGION"),
    _answer("status code: 407", FINAL, "the proxy asks for a name and a password: give both in HTTPS_PROXY"),
    _answer("status code: 40[13]", FEW, _RENEW, about_credentials=True),
    _answer("status code: 404", FINAL, _NO_BUCKET),
    _answer("status code: (408|425|429)", ALWAYS),
    _answer("status code: (405|411|426|50[15])", FINAL, _UNABLE),
    _answer("status code: 4..", FINAL),
    _answer("status code: 5..", ALWAYS, "the server has a fault of its own; look at it, or wait"),
    # Then failures without an answer.
    _answer(
        "UnknownIssuer|invalid peer certificate|CERTIFICATE_VERIFY_FAILED|InvalidCertificate",
        FINAL,
        "its certificate is not trusted here: name your authority's file with SSL_CERT_FILE, and check the clock",
    ),
    _answer(
        "InvalidContentType|WRONG_VERSION_NUMBER", FINAL, "it does not speak TLS: write http:// in AWS_ENDPOINT_URL"
    ),
    _answer(
        "Name or service not known|nodename nor servname|No address associated",
        FEW,
        "no host has this name; correct it",
    ),
    _answer("Connection refused", ALWAYS, "nothing listens there; start the server, or correct AWS_ENDPOINT_URL"),
)
"""The first row that matches counts. An error that matches none, such as a broken connection, is worth a retry."""

_UNKNOWN = Answer(re.compile(""), ALWAYS)


def classify(error: Exception) -> Answer:
    """The table's row for an error of the bucket's client."""
    text = str(error)
    return next((row for row in ANSWERS if row.pattern.search(text)), _UNKNOWN)


def is_transient(error: Exception, attempt: int) -> bool:
    """Tell if another attempt may help, after this many attempts."""
    if not isinstance(error, GenericError | PermissionDeniedError | UnauthenticatedError):
        return False
    return attempt < classify(error).attempts


def is_about_credentials(error: Exception) -> bool:
    """Tell if the bucket did not accept the credentials."""
    return classify(error).about_credentials


def advice(error: Exception) -> str:
    """The user's fix for an error, for the end of a message; empty where none is known."""
    fix = classify(error).fix
    return f": {fix}" if fix else ""


_CAUSE = re.compile(r'message: "([^"]+)"|error: "([^"]+)"|(Invalid\w+)\(\s*(\w+)')


def first_line(error: Exception) -> str:
    """The message without the client's debug dump, but with the server's code or the cause that the dump holds."""
    text = str(error).strip()
    line = text.partition("\n")[0].partition(": <?xml")[0][:300]
    code = re.search(r"<Code>([\w.]+)</Code>", text)
    cause = None if code else _CAUSE.search(text)
    found = code[1] if code else " ".join(part for part in cause.groups() if part) if cause else ""
    return f"{line} ({found})" if found and found not in line else line
