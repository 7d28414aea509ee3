"""The settings of an external secret manager: what is refused, and that a token in the wrong place is never shown."""

import pytest

from mcpward.config.load import load
from mcpward.config.show import in_force
from mcpward.core.errors import Misconfigured

URL, TOKEN = "https://vault.example:8200", "hvs.canary-token-in-the-file-9c"
FINE = {"servers.a.source": "m:a", "secrets.manager.url": URL, "secrets.manager.token": "env:VAULT_TOKEN"}


def told(**change: object) -> str:
    changes = {f"secrets.manager.{name}" if name != "allow" else "egress.allow": one for name, one in change.items()}
    given = {name: one for name, one in (FINE | changes).items() if one is not None}
    with pytest.raises(Misconfigured) as caught:
        load(None, {}, given)
    return " | ".join(f"{finding.what}: {finding.hint}" for finding in caught.value.findings)


def test_what_is_whole_is_taken():
    manager = load(None, {}, FINE | {"secrets.manager.url": f"{URL}/below/"}).secrets.manager
    assert (manager.url, manager.path, manager.is_set) == (f"{URL}/below", "mcpward/{server}", True)
    assert not load(None, {}, {"servers.a.source": "m:a"}).secrets.manager.is_set


@pytest.mark.parametrize("token", [TOKEN, f"env:{TOKEN}", f"token:{TOKEN}", "file:", "file:/a\nb", "env:"])
def test_a_token_that_stands_in_the_settings_is_refused_and_never_shown(token):
    said = told(token=token)
    assert "write the place of the token, not the token" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    "change,why",
    [
        ({"token": None}, "secrets.manager.url is set, and no token"),
        ({"url": None}, "secrets.manager.token is set, and secrets.manager.url is not"),
        ({"url": "http://vault.example:8200"}, "http is only for networks in egress.allow"),
        ({"url": "https://10.1.2.3:8200"}, "10.1.2.3 is not a public address"),
        ({"url": "http://127.0.0.1:8200"}, '[egress] allow = ["127.0.0.1/32"]'),
        ({"url": "https://user:canary@vault.example"}, "may not have a user"),
        ({"url": "https://vault.example/v1/../x"}, "no empty ones, . or .."),
        ({"url": "https://vault.example?a=b"}, "may not have a user, a query"),
        ({"url": "ftp://vault.example"}, "write an absolute URL"),
        ({"path": "mcpward"}, "write {server} once"),
        ({"path": "{server}/{server}"}, "write {server} once"),
        ({"path": "../{server}"}, "without . and .."),
        ({"path": "a/{server}?version=1"}, "without . and .."),
        ({"path": "/{server}"}, "without . and .."),
        ({"mount": "a//b"}, "without . and .."),
        ({"mount": ""}, "without . and .."),
        ({"namespace": "a\r\nX-Vault-Token: b"}, "without . and .."),
        ({"refresh_s": 0.5}, "secrets.manager.refresh_s"),
        ({"keep_s": 604_801.0}, "secrets.manager.keep_s"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(change, why):
    said = told(**change)
    assert why in said
    assert "canary" not in said


def test_a_private_address_is_called_if_its_network_is_named():
    given = FINE | {"secrets.manager.url": "http://127.0.0.1:8200", "egress.allow": ["127.0.0.0/8"]}
    assert load(None, {}, given).secrets.manager.is_set


def test_relative_files_belong_to_the_folder_of_the_settings(tmp_path):
    (tmp_path / "mcpward.toml").write_text(
        f'[secrets.manager]\nurl = "{URL}"\ntoken = "file:run/token"\nca_file = "ca.pem"\n'
    )
    values = in_force(load(tmp_path / "mcpward.toml", {}, {}))
    assert values["secrets.manager.token"] == f"file:{tmp_path}/run/token"
    assert values["secrets.manager.ca_file"] == str(tmp_path / "ca.pem")
