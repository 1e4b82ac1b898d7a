"""A key that never leaves the guest's TPM 2.0 signs; this machine verifies."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.hil.gateway.booted import Virtual

from packseal_hil.rig.protocols import Need

ATTRIBUTES = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
MESSAGE = b"a record's Sig_structure"


def test_an_ecdsa_key_in_the_tpm_signs(virtual: Virtual) -> None:
    if Need.TPM not in virtual.rig.has:
        pytest.skip("the guest has no TPM without swtpm on this machine: apt-get install swtpm")
    virtual.do(virtual.rig.machine.put("/run/tpm/message", MESSAGE))
    steps = (
        "cd /run/tpm",
        "export TPM2TOOLS_TCTI=device:/dev/tpmrm0",
        "tpm2_createprimary -Q -C o -G ecc256 -c primary",
        f"tpm2_create -Q -C primary -G ecc256:ecdsa-sha256 -u public -r private -a '{ATTRIBUTES}'",
        "tpm2_load -Q -C primary -u public -r private -c key",
        "tpm2_readpublic -Q -c key -f pem -o key.pem",
        "tpm2_sign -Q -c key -g sha256 -s ecdsa -f plain -o signature message",
    )
    virtual.sh(" && ".join(steps), timeout_s=240)
    machine = virtual.rig.machine
    key = load_pem_public_key(virtual.do(machine.get("/run/tpm/key.pem")))
    assert isinstance(key, EllipticCurvePublicKey)
    assert isinstance(key.curve, SECP256R1)
    key.verify(virtual.do(machine.get("/run/tpm/signature")), MESSAGE, ECDSA(hashes.SHA256()))
