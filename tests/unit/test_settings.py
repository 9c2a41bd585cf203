"""settings.toml says every default; the environment wins; every mistake is one line without a secret's value."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from stockwatch.errors import UsageError
from stockwatch.settings import Settings, load
from stockwatch.settings.sections import Kafka

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {name: field.annotation for name, field in Settings.model_fields.items() if name != "path"}


def test_settings_toml_has_every_key_with_its_default() -> None:
    written = tomllib.loads((ROOT / "settings.toml").read_text())
    assert set(written) == set(SECTIONS)
    for section, model in SECTIONS.items():
        assert model is not None
        assert set(written[section]) == set(model.model_fields) - {"rules"}, section
    assert load(ROOT / "settings.toml").model_dump(exclude={"path"}) == load(Path("absent.toml")).model_dump(exclude={"path"})


def test_every_key_has_one_comment() -> None:
    lines = [line for line in (ROOT / "settings.toml").read_text().splitlines() if " = " in line and not line.startswith("#")]
    assert lines
    assert all("  # " in line for line in lines), [line for line in lines if "  # " not in line]


def test_the_environment_wins_over_the_file_and_arguments_over_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[market]\nsource = "yahoo"\nseed = 1\npoll_seconds = 5\n')
    monkeypatch.setenv("STOCKWATCH_MARKET__SEED", "2")
    monkeypatch.setenv("STOCKWATCH_MARKET__TICKERS", '["aapl", "msft"]')
    settings = load(path, {"market": {"source": "simulator"}})
    assert (settings.market.source, settings.market.seed, settings.market.poll_seconds) == ("simulator", 2, 5)
    assert settings.market.tickers == ("AAPL", "MSFT")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path / "settings.toml")
    assert settings.data_dir == tmp_path / ".stockwatch"
    assert settings.resolve("/somewhere") == Path("/somewhere")


def test_a_default_is_known_as_one(tmp_path: Path) -> None:
    settings = load(tmp_path / "settings.toml", {"dashboard": {"port": 9000}})
    assert not settings.is_default("dashboard", "port")
    assert settings.is_default("supervisor", "health_port")


@pytest.mark.parametrize(
    "section",
    [
        {"kafka": {"sasl_password": 5}},
        {"dashboard": {"password": ["hidden-word"]}},
        {"clickhouse": {"url": "ftp://user:hidden-word@host"}},
        {"alerts": {"webhook_url": "ftp://hidden-word"}},
        {"cache": {"redis_url": "http://:hidden-word@host"}},
        {"market": {"proxy": "ftp://user:hidden-word@host"}},
        *(
            {section: {key: f"{scheme}://user:{password}@host:80"}}
            for section, key, scheme in (
                ("clickhouse", "url", "http"),
                ("cache", "redis_url", "redis"),
                ("alerts", "webhook_url", "https"),
                ("market", "proxy", "socks5"),
            )
            for password in (
                "pa[hidden-word]ss",
                "hidden-word[",
                "hidden-word]",
                "hidden-word/x",
                "hidden-word#x",
                "hidden-word\u2100",
            )
        ),
    ],
    ids=str,
)
def test_no_message_shows_a_secret(tmp_path: Path, section: dict[str, dict[str, object]]) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "settings.toml", section)
    assert "hidden-word" not in str(caught.value)
    assert "user" not in str(caught.value).replace("user:password", "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("section", ["clickhouse", "cache", "alerts", "market", "kafka", "dashboard"])
def test_a_section_that_is_a_text_is_not_shown(tmp_path: Path, section: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f'{section} = "http://user:hidden-word@host"\n')
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value) == f"settings.toml: {section} must be a section, [{section}]"


def test_the_home_of_a_user_whom_nobody_knows_is_one_line(tmp_path: Path) -> None:
    for section, key in (("supervisor", "data_dir"), ("market", "ca_file")):
        with pytest.raises(UsageError, match="~no-such-user is no user with a home folder here") as caught:
            load(tmp_path / "settings.toml", {section: {key: "~no-such-user/x"}})
        assert "\n" not in str(caught.value)


def test_a_secret_is_not_in_a_settings_repr(tmp_path: Path) -> None:
    settings = load(
        tmp_path / "settings.toml",
        {
            "clickhouse": {"url": "http://u:hidden-word@h"},
            "kafka": {"sasl_password": "hidden-word"},
            "dashboard": {"password": "hidden-word"},
        },
    )
    assert "hidden-word" not in repr(settings)


def test_sasl_must_be_whole() -> None:
    with pytest.raises(ValueError, match="SASL needs"):
        Kafka(security_protocol="SASL_SSL")


@pytest.mark.parametrize("url", ["https://app.powerbi.com/view?r=abc", "https://app.powerbi.com/reportEmbed?reportId=1", ""])
def test_power_bi_addresses_that_may_be_embedded(tmp_path: Path, url: str) -> None:
    assert load(tmp_path / "s.toml", {"dashboard": {"powerbi_url": url}}).dashboard.powerbi_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://app.powerbi.com/view",
        "https://app.powerbi.com.evil.example/view",
        "https://user@app.powerbi.com/view",
        "https://app.powerbi.com/other",
        "javascript:alert(1)",
    ],
)
def test_and_those_that_may_not(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="powerbi_url"):
        load(tmp_path / "s.toml", {"dashboard": {"powerbi_url": url}})


@pytest.mark.parametrize(
    ("section", "key"),
    [(s, k) for s, f in Settings.model_fields.items() if s != "path" for k in f.annotation.model_fields],  # type: ignore[union-attr]
)
def test_every_key_can_be_said_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: str, key: str
) -> None:
    default = load(tmp_path / "settings.toml").model_dump(mode="json")[section][key]
    text = default if isinstance(default, str) else json.dumps(default)
    monkeypatch.setenv(f"STOCKWATCH_{section}__{key}".upper(), text)
    assert load(tmp_path / "settings.toml").model_dump(mode="json")[section][key] == default


def test_candle_minutes_from_the_environment_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOCKWATCH_DASHBOARD__CANDLE_MINUTES", "15")
    assert load(tmp_path / "settings.toml").dashboard.candle_minutes == 15
    monkeypatch.setenv("STOCKWATCH_DASHBOARD__CANDLE_MINUTES", "7")
    with pytest.raises(UsageError, match="must be 1, 2, 5, 10, 15, 30 or 60"):
        load(tmp_path / "settings.toml")
