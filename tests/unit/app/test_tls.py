"""An unreadable TLS file: the error says why, and as which user it was tried."""

import os
from contextlib import contextmanager

import pytest

from mcpward.app.tls import tls_findings
from mcpward.config.load import read
from support.certificate import certificate
from support.clock import ManualClock

NOBODY = 65534


@contextmanager
def as_nobody():
    """Root may read everything: become a user who may not; other users already are one."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def found(tmp_path):
    certificate(tmp_path)
    site = read(None, {}, {"site.tls_cert": str(tmp_path / "cert.pem"), "site.tls_key": str(tmp_path / "key.pem")})
    return lambda: tls_findings(site, ManualClock())


def test_a_key_of_somebody_else_says_whose_it_is_and_how_to_share_it(tmp_path, found):
    tmp_path.chmod(0o755)
    (tmp_path / "key.pem").chmod(0)
    for folder in tmp_path.parents:
        if folder.name.startswith(("pytest-", "popen-")):  # some more of them where tests run side by side
            folder.chmod(0o755)
    with as_nobody():
        (finding,) = found()
    assert "key.pem: " in finding.what
    assert "may not read it: it belongs to " in finding.what
    assert finding.what.endswith("mode 0000")
    assert finding.hint.startswith("chgrp ")
    assert finding.where == "--tls-key"


def test_a_folder_that_is_closed_is_named(tmp_path, found):
    tmp_path.chmod(0)
    with as_nobody():
        findings = found()
    tmp_path.chmod(0o700)
    assert len(findings) == 2
    assert all("may not enter the folder" in one.what for one in findings)


def test_a_folder_is_no_file(tmp_path, found):
    (tmp_path / "cert.pem").unlink()
    (tmp_path / "cert.pem").mkdir()
    (finding,) = found()
    assert finding.what.endswith("cert.pem: that is a folder")
