import pytest

from hub.contract.errors import HubError
from hub.contract.kafka import brokers, client, read_address, write_address
from hub.contract.settings import read_settings


def test_plain_brokers_need_no_more_than_their_addresses():
    assert client("a:1,b:2") == {"bootstrap.servers": "a:1,b:2"}
    assert brokers("a:1,b:2") == "a:1,b:2"


def test_a_login_and_tls_stand_in_the_address():
    assert client("kafkas://hub:s%40cret%3A@a:1,b:2?ca=/etc/ca.pem") == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "hub",
        "sasl.password": "s@cret:",
        "ssl.ca.location": "/etc/ca.pem",
    }
    assert client("kafka://hub:x@a:1?mechanism=PLAIN")["security.protocol"] == "SASL_PLAINTEXT"
    assert client("kafkas://a:1") == {"bootstrap.servers": "a:1", "security.protocol": "SSL"}


@pytest.mark.parametrize("password", ["pass-x", "a/b?c#d@e:f%g,h i", "mật khẩu"])
def test_what_is_written_is_read(password):
    found = read_address(write_address("a:1,b:2", "payer.vss", password, "PLAIN"))
    assert (found.brokers, found.user, found.password, found.mechanism) == ("a:1,b:2", "payer.vss", password, "PLAIN")
    assert password not in repr(found)


def test_people_see_the_brokers_and_no_login():
    assert brokers("kafkas://hub:secret@a:1,b:2?mechanism=PLAIN") == "a:1,b:2"


@pytest.mark.parametrize(
    "wrong",
    [
        "http://hub:secret@a:1",
        "kafka://hub:secret@",
        "kafka://hub:secret@a:1/topic",
        "kafka://hub:secret@a:1?mechanism=GUESS",
        "kafka://hub:secret@a:1?mechanisms=PLAIN",
        "kafka://secret@a:1",
        "hub:secret@a:1",
        "kafka://hub:sec#secret@a:1",
        "kafka://hub:sec?secret@a:1",
        "kafka://hub:[secret]@a:1",
    ],
)
def test_what_is_no_address_is_refused_by_the_name_of_its_setting_and_not_shown(wrong):
    with pytest.raises(HubError, match="SETTING_WRONG") as refused:
        read_settings(kafka_bootstrap=wrong)
    assert "HIE_KAFKA_BOOTSTRAP" in refused.value.where
    assert "secret" not in str(refused.value)


def test_settings_never_show_the_login():
    settings = read_settings(kafka_bootstrap="kafka://hub:hunter2@a:1")
    assert "hunter2" not in repr(settings) + str(settings.model_dump())
    assert settings.kafka == "kafka://hub:hunter2@a:1"
