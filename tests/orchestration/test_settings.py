"""Every wrong setting is answered in one line that names it and says what to do."""

from datetime import UTC, datetime, time
from pathlib import Path

import pytest

from orchestration import settings
from orchestration.settings import SettingsError

SALESFORCE = {
    "SALESFORCE_URL": "https://acme.my.salesforce.com",
    "SALESFORCE_CLIENT_ID": "an-id",
    "SALESFORCE_CLIENT_SECRET": "very-secret",
}


def written(folder: Path, text: str) -> dict[str, str]:
    file = folder / "fullpicture.yaml"
    file.write_text(text, encoding="utf-8")
    return {"FULLPICTURE_CONFIG": str(file)}


def test_without_any_setting_everything_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = settings.load({})
    assert found.home == tmp_path / "data"
    assert found.warehouse_url == f"duckdb:///{tmp_path}/data/work/warehouse.duckdb"
    assert found.config.night.starts == time(2)
    assert found.connected == []


def test_the_example_file_holds_only_keys_that_exist_and_their_defaults() -> None:
    example = Path(__file__).parents[2] / "fullpicture.example.yaml"
    assert settings.load({"FULLPICTURE_CONFIG": str(example)}).config == settings.load({}).config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("salesforce: {feilds: {}}", "salesforce.feilds is not a setting; did you mean salesforce.fields?"),
        ("timezon: UTC", "timezon is not a setting; did you mean timezone?"),
        ("fresh_hours: 30", "fresh_hours is not a setting; did you mean gaps.fresh_hours?"),
        ("gaps: {fresh_hours: soon}", "gaps.fresh_hours is 'soon': it should be a valid integer"),
        ("gaps: {fresh_hours: 0}", "gaps.fresh_hours is 0: it should be greater than or equal to 1"),
        ("gaps: 7", "gaps is 7: it should hold keys and values"),
        ("currency: euro", "currency is 'euro': it should be three capital letters such as USD"),
        ("timezone: Europe/Berln", "timezone: 'Europe/Berln' is not a time zone; did you mean Europe/Berlin?"),
        ("privacy: {unified: hide}", "privacy.unified is 'hide': it should be 'keep', 'hash' or 'drop'"),
        ("night: {starts: late}", "night.starts is 'late': it should be a time of day such as \"02:00\""),
        (
            "salesforce: {fields: {opportunities: {blocking_featur: X__c}}}",
            "salesforce.fields: opportunities.blocking_featur is not a column that can be mapped; "
            "did you mean opportunities.blocking_feature?",
        ),
        (
            "jira: {fields: {issues: {customer: 7}}}",
            "jira.fields.issues.customer is 7: it should be a valid string",
        ),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings.load(written(tmp_path, text))
    assert str(raised.value) == f"fullpicture.yaml: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "fullpicture.yaml, line 1: expected ',' or ']', but got '<stream end>'"),
        ("currency: USD\ncurrency: EUR", "fullpicture.yaml, line 2: currency is set twice"),
        ("- a\n- b", "fullpicture.yaml must hold keys and values, as in fullpicture.example.yaml"),
    ],
)
def test_a_file_that_is_no_settings_file_says_where(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings.load(written(tmp_path, text))
    assert str(raised.value) == message


def test_a_settings_file_that_is_named_but_absent_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot be read: No such file or directory .set by FULLPICTURE_CONFIG."):
        settings.load({"FULLPICTURE_CONFIG": str(tmp_path / "absent.yaml")})


def test_two_wrong_keys_are_named_in_one_go(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"timezon is not.*; fullpicture.yaml: curency is not"):
        settings.load(written(tmp_path, "timezon: UTC\ncurency: USD"))


def test_a_section_with_all_its_lines_commented_out_is_the_default(tmp_path: Path) -> None:
    assert settings.load(written(tmp_path, "gaps:\n#  fresh_hours: 3\n")).config.gaps.fresh_hours == 26


@pytest.mark.parametrize(("text", "hour"), [("22:30", 22), ("9:30", 9), ("09:30", 9), ("'0:30'", 0)])
def test_an_hour_is_understood_with_and_without_quotes(tmp_path: Path, text: str, hour: int) -> None:
    assert settings.load(written(tmp_path, f"night: {{starts: {text}}}")).config.night.starts == time(hour, 30)


@pytest.mark.parametrize("text", ["5", "200", "1350", "7200", "2.5", "true", "25:00", "02:00:30"])
def test_what_is_no_hour_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r'night.starts is .*: it should be a time of day such as "02:00"'):
        settings.load(written(tmp_path, f"night: {{starts: {text}}}"))


def test_dagsters_home_is_the_one_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/elsewhere")
    assert settings.load({"FULLPICTURE_HOME": str(tmp_path)}).dagster_home == tmp_path / "dagster"
    assert settings.load({"DAGSTER_HOME": str(tmp_path)}).dagster_home == tmp_path


def test_a_tool_with_some_variables_names_those_that_are_missing() -> None:
    tool = settings.load({"SALESFORCE_URL": "https://acme.my.salesforce.com", "SALESFORCE_CLIENT_ID": "x"}).tool("salesforce")
    assert not tool.off
    with pytest.raises(SettingsError) as raised:
        tool.connector()
    assert str(raised.value) == (
        "Salesforce is only half set: set SALESFORCE_CLIENT_SECRET too, or unset SALESFORCE_URL and SALESFORCE_CLIENT_ID"
    )


def test_a_tool_without_any_variable_says_which_ones_turn_it_on() -> None:
    tool = settings.load({"JIRA_URL": " "}).tool("jira")
    assert tool.off
    with pytest.raises(SettingsError) as raised:
        tool.connector()
    assert str(raised.value) == (
        "Jira is off: set JIRA_URL JIRA_EMAIL JIRA_API_TOKEN, or JIRA_URL JIRA_ACCESS_TOKEN to read it"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://acme.example", "SALESFORCE_URL must begin with https:// (http is for a loopback address only)."),
        ("http://127.0.0.2", "SALESFORCE_URL must begin with https:// (http is for a loopback address only)."),
        ("acme.example", "SALESFORCE_URL must be the address of Salesforce, such as https://example.com."),
        ("https://[::1", "SALESFORCE_URL must be the address of Salesforce, such as https://example.com."),
        ("https://me:hush@acme.example", "SALESFORCE_URL must not hold a user name or a password."),
    ],
)
def test_an_address_that_is_not_safe_is_refused(url: str, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings.load({**SALESFORCE, "SALESFORCE_URL": url}).tool("salesforce").connector()
    assert str(raised.value) == message


@pytest.mark.parametrize("host", ["127.0.0.1:8001", "localhost:8001", "[::1]:8001"])
def test_plain_http_is_fine_on_this_machine(host: str) -> None:
    assert settings.load({**SALESFORCE, "SALESFORCE_URL": f"http://{host}"}).tool("salesforce").connector().host


def test_a_key_file_that_is_not_there_is_named_with_its_variable() -> None:
    environment = {
        "SALESFORCE_URL": "https://acme.my.salesforce.com",
        "SALESFORCE_CLIENT_ID": "an-id",
        "SALESFORCE_USERNAME": "me@acme.example",
        "SALESFORCE_PRIVATE_KEY_FILE": "/nowhere/key.pem",
    }
    with pytest.raises(SettingsError) as raised:
        settings.load(environment).tool("salesforce").connector()
    assert str(raised.value) == (
        "SALESFORCE_PRIVATE_KEY_FILE names /nowhere/key.pem, which cannot be read: No such file or directory"
    )


def test_an_unknown_tool_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"zendesc is not a tool; did you mean zendesk\?"):
        settings.load({}).tool("zendesc")


def test_the_clock_must_have_a_zone() -> None:
    assert settings.load({"FULLPICTURE_NOW": "2026-11-02T04:00:00Z"}).now == datetime(2026, 11, 2, 4, tzinfo=UTC)
    for wrong in ("tomorrow", "2026-11-02T04:00:00"):
        with pytest.raises(SettingsError, match=f"FULLPICTURE_NOW is '{wrong}': it must be a moment with its zone"):
            settings.load({"FULLPICTURE_NOW": wrong})


def test_secrets_never_show() -> None:
    found = settings.load({**SALESFORCE, "WAREHOUSE_URL": "postgresql://me:hush@db/x"})
    assert "very-secret" not in repr(found)
    assert "hush" not in repr(found)


def test_today_is_the_day_in_the_configured_zone(tmp_path: Path) -> None:
    environment = {**written(tmp_path, "timezone: Pacific/Auckland"), "FULLPICTURE_NOW": "2026-11-02T20:00:00Z"}
    assert str(settings.tables(settings.load(environment), "key")["clock"][0]["today"]) == "2026-11-03"
