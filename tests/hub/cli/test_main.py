"""The command as a person meets it: help with examples, one sentence for an error, exit codes that programs may use."""

import signal
import socket
import subprocess
import sys
import tomllib

import psutil
import pytest
from argon2 import PasswordHasher
from psycopg.errors import AdminShutdown
from typer.main import get_command

from hub.cli.main import app, main
from hub.cli.running import connected
from hub.contract.errors import HubError
from hub.contract.settings import read_settings
from hub.stack import standing_still
from tests.own_database import own_database


def hie(*arguments, input=None, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-m", "hub.cli", *arguments],
        capture_output=True, input=input, text=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def commands(command, path=()):
    found = {path: command} if not hasattr(command, "commands") else {}
    for name, part in getattr(command, "commands", {}).items():
        found |= commands(part, (*path, name))
    return found


@pytest.mark.parametrize(
    ("path", "command"), commands(get_command(app)).items(), ids=lambda one: " ".join(one) if isinstance(one, tuple) else ""
)
def test_every_command_has_help_with_an_example(path, command):
    assert f"Example: hie {' '.join(path)}" in command.help or "Example: HIE_" in command.help


def test_no_command_loads_the_metrics_before_it_has_said_where_those_of_several_gates_are():
    asked = "import hub.cli.main, hub.services, sys; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_an_error_is_one_sentence_in_two_languages_and_exit_code_2(tmp_path):
    done = hie("status", HIE_DATA_DIR=str(tmp_path), HIE_KAFKA_BOOTSTRAP="", HIE_REGISTRY_URL="", HIE_DATABASE_URL="")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "no hub runs on this data folder" in done.stderr
    assert "NOT_RUNNING" in done.stderr
    assert "`hie up`" in done.stderr
    assert "không chạy ở đây" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_hub_that_is_only_starting_is_told_from_one_that_does_not_run(tmp_path):
    settings = read_settings(data_dir=tmp_path, kafka_bootstrap="", registry_url="", database_url="")
    with standing_still(settings), pytest.raises(HubError, match="does not answer yet"):
        connected(settings)
    with pytest.raises(HubError, match="no hub runs"):
        connected(settings)


@pytest.fixture(scope="module")
def without_tables(stack):
    with own_database(stack.database_url, tables=False) as url:
        yield {"KAFKA_BOOTSTRAP": stack.kafka_bootstrap, "REGISTRY_URL": stack.registry_url, "DATABASE_URL": url}


@pytest.mark.parametrize("command", ["status", "trace 4711", "parked list", "dead list", "hold list", "person list"])
def test_a_database_without_tables_yet_is_one_sentence_as_well(without_tables, command, tmp_path):
    named = {**without_tables, "DATA_DIR": str(tmp_path)}
    done = hie(*command.split(), **{f"HIE_{name}": value for name, value in named.items()})
    assert (done.returncode, done.stdout) == (2, "")
    assert "NOT_RUNNING" in done.stderr and "wait a moment if it is starting" in done.stderr
    assert "does not exist: the tables of the database are made while a hub of this release starts" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_goes_away_meanwhile_is_one_sentence_as_well(monkeypatch, capsys):
    def gone():
        raise AdminShutdown("its text may quote a value")

    monkeypatch.setitem(main.__globals__, "app", gone)
    with pytest.raises(SystemExit, match="2"):
        main()
    told = capsys.readouterr().err
    assert "DATABASE_UNAVAILABLE" in told and "(AdminShutdown)" in told and "quote" not in told


def test_a_section_named_in_an_error_is_shown_with_its_brackets(tmp_path):
    rule = '[observation]\nnumber = { from = "OBX-5", as = "whole" }\n[person]\nidentifiers = "PID-3"\n'
    (tmp_path / "mine.toml").write_text(f'extends = "_standard"\nversion = "1"\n{rule}', "utf-8")
    done = hie("vendor", "check", str(tmp_path / "mine.toml"), str(tmp_path))
    assert done.returncode == 2
    assert "a line before the first [section]" in done.stderr and "[identifiers] says where" in done.stderr


def test_an_unknown_setting_is_named():
    done = hie("status", HIE_BROKRES="3")
    assert done.returncode == 2
    assert "HIE_BROKRES; did you mean HIE_BROKERS?" in done.stderr


def test_a_token_in_the_environment_is_no_unknown_setting(tmp_path):
    done = hie("inbox", "01004", HIE_TOKEN="x", HIE_DATA_DIR=str(tmp_path))
    assert "NOT_RUNNING" in done.stderr


def test_a_field_without_a_value_is_not_emptied_by_mistake():
    done = hie("parked", "edit", "referral.v1", "01021:x", "--set", "ma_cskcb_den", "--reason", "test")
    assert done.returncode == 2
    assert "FIELD= empties it" in done.stderr


def test_an_unknown_bench_is_named():
    done = hie("bench", "everything")
    assert done.returncode == 2
    assert "translate, gate, routing, delivery, trace, insurer" in done.stderr


def test_a_new_credential_shows_its_token_once_and_keeps_only_a_hash():
    done = hie("credential", "new", "dong-linh-his", "--facility", "01021")
    assert done.returncode == 0
    token = done.stderr.split("token (shown once): ")[1].split()[0]
    assert token not in done.stdout
    assert done.stdout.startswith('[sender.dong-linh-his]\nfacilities = ["01021"]\ntoken_blake2b = "')


def test_an_account_of_the_gateway_is_made_from_its_password_or_from_its_md5():
    from hub.access.passwords import as_sent

    arguments = ("credential", "gateway", "dong-linh-his", "--user", "01021_BV", "--facility", "01021", "--test")
    for typed in ("mat khau", as_sent("mat khau").lower()):
        done = hie(*arguments, input=f"{typed}\n")
        assert done.returncode == 0 and typed not in done.stdout + done.stderr
        row = tomllib.loads(done.stdout)["sender"]["dong-linh-his"]
        assert PasswordHasher().verify(row.pop("gateway_password"), as_sent("mat khau"))
        assert row == {"facilities": ["01021"], "test": True, "gateway_user": "01021_BV"}
    assert hie(*arguments, input="\n").returncode == 2


def test_ctrl_c_while_the_hub_starts_ends_it_at_once_and_leaves_nothing(tmp_path):
    import os

    ports = {f"HIE_{name}_PORT": "0" for name in ("KAFKA", "REGISTRY", "DATABASE", "MLLP", "HTTP", "INBOX")}
    environment = {**os.environ, **ports, "HIE_DATA_DIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-m", "hub.cli", "up"], stderr=subprocess.PIPE, text=True, env=environment) as hub:
        said = hub.stderr
        assert any(line.startswith("postgres is up") for line in said)
        hub.send_signal(signal.SIGINT)
        rest = said.read()
    assert hub.returncode == 130
    assert "stopping" in rest
    assert "the hub is up" not in rest
    commands_left = [" ".join(found.info["cmdline"] or []) for found in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands_left if str(tmp_path) in command]


@pytest.mark.parametrize(
    ("command", "until"), [("demo", "postgres is up"), ("simulate week --scale 0.0002 --days 1", "the hub is up")]
)
def test_sigterm_ends_a_hub_of_a_commands_own_with_its_folder(tmp_path, command, until):
    import os

    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    argv = [sys.executable, "-m", "hub.cli", *command.split()]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as hub:
        assert any(until in line for line in hub.stdout), "it says so before it ends"
        hub.send_signal(signal.SIGTERM)
        hub.stdout.read()
    assert hub.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.glob("hie-*")) == []
    commands_left = [" ".join(found.info["cmdline"] or []) for found in psutil.process_iter(["cmdline"])]
    assert not [one for one in commands_left if str(tmp_path) in one]


def test_a_taken_port_is_named_before_anything_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = hie("up", HIE_MLLP_PORT=str(other.getsockname()[1]), HIE_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "PORT_TAKEN" in done.stderr
    assert "HIE_MLLP_PORT" in done.stderr
    assert "starting" not in done.stderr
