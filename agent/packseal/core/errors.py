"""The errors of packseal, split by who must act.

```
PacksealError
├── ConfigError      the person who wrote the file: names file, line, key and what is allowed
├── InputError       whoever handed us this file or argument
├── FormatError      whoever made these bytes: not canonical, not ours, or malformed
├── VerifyError      nobody can mend it: the bytes are not what was signed, or not in this chain
├── StorageError     the operator of this machine: disk full, read-only, damaged
├── LinkError        the installer: the bus or adapter is not there (retried)
└── UplinkError      the network's operator: broker or sink not reachable (retried)
```

Each message is one sentence that says what is wrong and, where it can be known, what to do.
"""


class PacksealError(Exception):
    """Base of every error that a user may see as one line, without a traceback."""


class ConfigError(PacksealError):
    """A configuration or profile is wrong; the text names file, line, key and what is allowed."""


class InputError(PacksealError):
    """A file or argument given by the user cannot be used."""


class FormatError(PacksealError):
    """Bytes are not in the one canonical form of their format."""


class VerifyError(PacksealError):
    """A signature, hash or chain does not hold."""


class StorageError(PacksealError):
    """The journal cannot be read or written; nothing already acknowledged is affected."""


class LinkError(PacksealError):
    """A battery's wire cannot be opened or has failed; the driver retries."""


class UplinkError(PacksealError):
    """The sink cannot be reached or did not answer; the uplink retries."""
