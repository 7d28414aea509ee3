import pytest

from mcpward.config.load import load
from mcpward.core.errors import Misconfigured
from mcpward.core.values import Enforcement, Period, Quota, QuotaLimit, Rate, RateLimit


def whats(env):
    with pytest.raises(Misconfigured) as caught:
        load(None, env)
    return [(finding.where, finding.what, finding.hint) for finding in caught.value.findings]


def test_every_type_is_read(tmp_path):
    settings = load(
        None,
        {
            "MCPWARD_SITE__BEHIND_TLS_PROXY": "true",
            "MCPWARD_SITE__TRUSTED_PROXIES": "10.0.0.0/8, 192.168.0.1",
            "MCPWARD_SITE__DRAIN_S": "2.5",
            "MCPWARD_SITE__METRICS_LISTEN": "",
            "MCPWARD_HTTP__MAX_BODY": "1 MiB",
            "MCPWARD_SERVERS__MY_ORDERS__SOURCE": "a:b",
            "MCPWARD_SERVERS__MY_ORDERS__LIMITS__READ": "5/second",
            "MCPWARD_SERVERS__MY_ORDERS__LIMITS__REPEAT_READ": "",
        },
    )
    assert settings.site.behind_tls_proxy is True
    assert [str(network) for network in settings.site.trusted_proxies] == ["10.0.0.0/8", "192.168.0.1/32"]
    assert settings.site.drain_s == 2.5
    assert settings.site.metrics_address is None
    assert settings.http.max_body == 2**20
    assert settings.servers["my-orders"].limits.read.rate.count == 5
    assert settings.servers["my-orders"].limits.repeat_read is None


def test_limits_are_read_with_their_rulings_as_json():
    settings = load(
        None,
        {
            "MCPWARD_LIMITS__ON_STORE_FAILURE": "closed",
            "MCPWARD_LIMITS__AUTH_FAILURES": '{"rate": "5/minute", "on_store_failure": "open"}',
            "MCPWARD_SERVERS__A__SOURCE": "a:b",
            "MCPWARD_SERVERS__A__LIMITS__QUOTA": ' {"quota": "9/day", "enforce": false}',
            "MCPWARD_SERVERS__A__LIMITS__TOTAL": "7/second",
        },
    )
    limits = settings.servers["a"].limits
    assert settings.limits.auth_failures == RateLimit(Rate(5, 60.0, 5), Enforcement(on_store_failure="open"))
    assert limits.quota == QuotaLimit(Quota(9, Period.DAY), Enforcement(enforce=False, on_store_failure="closed"))
    assert limits.total == RateLimit(Rate(7, 1.0, 7), Enforcement(on_store_failure="closed"))


def test_budgets_pools_and_tools_are_tables_of_the_environment_too():
    settings = load(
        None,
        {
            "MCPWARD_BUDGETS__OPEN_AI__QUOTA": "10/day",
            "MCPWARD_POOLS__GPU__CONCURRENCY": "2",
            "MCPWARD_SERVERS__A__SOURCE": "a:b",
            "MCPWARD_SERVERS__A__TOOLS__GET_ORDER__POOLS": "gpu, orders",
            "MCPWARD_SERVERS__A__TOOLS__GET_ORDER__BUDGETS": '{"open_ai": 3}',
        },
    )
    assert settings.budgets["open_ai"].quota == Quota(10, Period.DAY)
    assert settings.pools["gpu"].concurrency == 2
    tool = settings.servers["a"].tools["get_order"]
    assert (tool.pools, tool.budgets) == (("gpu", "orders"), {"open_ai": 3})


def test_a_variable_is_about_the_name_that_the_file_spells_otherwise(tmp_path):
    (tmp_path / "mcpward.toml").write_text(
        '[budgets.open-ai]\nrate = "5/second"\n[servers.a]\nsource = "a:b"\n[servers.a.tools."Get.Order"]\n'
        'rate = "1/minute"\n'
    )
    settings = load(
        tmp_path / "mcpward.toml",
        {"MCPWARD_BUDGETS__OPEN_AI__QUOTA": "10/day", "MCPWARD_SERVERS__A__TOOLS__GET_ORDER__RATE": "2/minute"},
    )
    assert list(settings.budgets) == ["open-ai"]
    assert settings.budgets["open-ai"].quota == Quota(10, Period.DAY)
    assert {name: tool.rate and tool.rate.count for name, tool in settings.servers["a"].tools.items()} == {
        "Get.Order": 2
    }


def test_a_variable_below_a_limit_of_the_file_is_the_one_to_mend(tmp_path):
    (tmp_path / "mcpward.toml").write_text('[servers.a]\nsource = "a:b"\n[servers.a.limits]\nread = "5/second"\n')
    name = "MCPWARD_SERVERS__A__LIMITS__READ__ENFORCE"
    with pytest.raises(Misconfigured) as wrong:
        load(tmp_path / "mcpward.toml", {name: "false"})
    [finding] = wrong.value.findings
    assert (finding.where, finding.what.partition(": ")[2][:16]) == (name, "a table has rate")


def test_the_url_of_redis_comes_from_a_file_of_its_own(tmp_path):
    (tmp_path / "url").write_text("redis://:pw@127.0.0.1\n")
    assert load(None, {"MCPWARD_LIMITS__COUNTERS_FILE": str(tmp_path / "url")}).limits.is_shared


@pytest.mark.parametrize(
    "name,meant",
    [
        ("MCPWARD_MASTERKEY", "MCPWARD_MASTER_KEY"),
        ("MCPWARD_MASTER_KEY_FIL", "MCPWARD_MASTER_KEY_FILE"),
        ("MCPWARD_LIMIT_AUTH_FAILURES", "MCPWARD_LIMITS__AUTH_FAILURES"),
        ("MCPWARD_TRUSTED_PROXIES", "MCPWARD_SITE__TRUSTED_PROXIES"),
        ("MCPWARD_site_listen", "MCPWARD_SITE__LISTEN"),
        ("MCPWARD_CONFIGURATION", "MCPWARD_CONFIG"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_nearest_name(name, meant):
    assert whats({name: "x"}) == [(name, "unknown variable", f"did you mean {meant}?")]


@pytest.mark.parametrize("name,value", [("MCPWARD_QQQ", "1"), ("MCPWARD_PORT", "9000"), ("MCPWARD_LIMITS_PORT", "9")])
def test_no_variable_of_ours_is_ignored(name, value):
    assert [(where, what) for where, what, _ in whats({name: value})] == [(name, "unknown variable")]


@pytest.mark.parametrize("name", ["MCPWARD_SITE_LISTEN", "MCPWARD_LOG_LEVEL"])
def test_one_underscore_too_few_is_told(name):
    ((where, what, hint),) = whats({name: "x"})
    assert (where, what) == (name, "unknown variable")
    assert hint == f"did you mean {name.replace('_', '__').replace('MCPWARD__', 'MCPWARD_')}?"


def test_what_kubernetes_sets_is_left_alone():
    load(
        None,
        {
            "MCPWARD_PORT": "tcp://1",
            "MCPWARD_WARD_PORT": "tcp://10.0.0.1:8000",
            "MCPWARD_SERVICE_HOST": "1",
            "MCPWARD_SERVICE_PORT": "1",
            "MCPWARD_SERVICE_PORT_HTTP": "1",
            "MCPWARD_PORT_8000_TCP": "tcp://10.0.0.1:8000",
            "MCPWARD_HTTP_PORT_80_TCP_ADDR": "1",
            "MCPWARD_HTTP_SERVICE_PORT": "1",
        },
    )


def test_variables_of_other_rooms_are_left_alone():
    load(
        None,
        {"MCPWARD_MASTER_KEY": "x", "MCPWARD_KEY": "y", "MCPWARD_CONFIG": "c", "MCPWARD_TEST_KILLS": "8", "PATH": "z"},
    )


def test_a_wrong_value_names_its_variable():
    ((where, what, _),) = whats({"MCPWARD_SITE__WORKERS": "two"})
    assert (where, what) == ("MCPWARD_SITE__WORKERS", "must be a whole number")


def test_a_secret_may_stand_in_a_file(tmp_path):
    (tmp_path / "url").write_text("sqlite:////somewhere/x.db\n")
    assert load(None, {"MCPWARD_STORE__URL_FILE": str(tmp_path / "url")}).store.url == "sqlite:////somewhere/x.db"


def test_a_secret_file_that_is_missing_or_doubled_is_told(tmp_path):
    ((where, _, _),) = whats({"MCPWARD_STORE__URL_FILE": str(tmp_path / "no")})
    assert where == "MCPWARD_STORE__URL_FILE"
    found = whats({"MCPWARD_STORE__URL_FILE": "x", "MCPWARD_STORE__URL": "sqlite:////x/y.db"})
    assert [what for _, what, _ in found] == ["both MCPWARD_STORE__URL and MCPWARD_STORE__URL_FILE are set"]


def test_no_value_is_quoted_back():
    canary = "canary-7d1f"
    env = {
        "MCPWARD_STORE__URL": f"postgresql://u:{canary}@h/d",
        "MCPWARD_SITE__LISTEN": canary,
        "MCPWARD_SITE__NO": canary,
    }
    assert canary not in repr(whats(env))


def test_files_and_variables_of_windows_are_read(tmp_path):
    (tmp_path / "url").write_bytes(b"\xef\xbb\xbfsqlite:////somewhere/x.db\r\n")
    env = {"MCPWARD_STORE__URL_FILE": str(tmp_path / "url"), "MCPWARD_LOG__LEVEL": "debug\r"}
    settings = load(None, env)
    assert settings.store.url == "sqlite:////somewhere/x.db"
    assert settings.log.level == "debug"
