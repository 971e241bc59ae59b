"""TLS at the door: who is let in, who is not, and what changes without a restart."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import httpx
import pytest
import uvloop
from prometheus_client import REGISTRY

from adapters.formats.mllp import encode
from adapters.inbound import tls
from adapters.inbound.http_api import HttpServer, build_api
from adapters.inbound.tls import ServerTls
from hub.access.credentials import Credentials, make_token
from hub.contract.errors import HubError
from hub.contract.settings import read_settings
from tests.adapters.inbound.certificates import Authority
from tests.adapters.inbound.conftest import msa, oru
from tests.adapters.inbound.offline import eventually, listening, offline_gate

LOOPS: list[Callable[..., object]] = [asyncio.run, uvloop.run]


@pytest.fixture
def hub(tmp_path):
    return Authority(tmp_path, "hub-authority")


@pytest.fixture
def clients(tmp_path):
    return Authority(tmp_path, "client-authority")


def failures() -> float:
    return REGISTRY.get_sample_value("hie_mllp_links_closed_total", {"reason": "TLS_FAILED"}) or 0.0


@pytest.mark.parametrize("run", LOOPS)
def test_a_link_over_tls_is_a_link_like_any_other(hub, tmp_path, run):
    pair = hub.sign("server")

    async def talk():
        async with listening(tmp_path, tls=ServerTls(pair.certificate, pair.key)) as doors:
            link = await doors.link(hub.client())
            ids = [f"T{number}" for number in range(200)]
            await link.write(b"".join(encode(oru(control_id)) for control_id in ids))
            assert [msa((await link.answer()).decode()) for _ in ids] == [("AA", control_id) for control_id in ids]
            huge = oru("HUGE") + b"".join(b"NTE|%d||%s\r" % (number, b"x" * 1000) for number in range(1, 400))
            assert msa((await link.ask(huge)).decode()) == ("AA", "HUGE")
            await link.close()
            await eventually(lambda: not doors.listener._links)

    run(talk())


@pytest.mark.parametrize("run", LOOPS)
def test_the_client_certificate_says_who_it_is(hub, clients, tmp_path, run):
    server, lab, unnamed = hub.sign("server"), clients.sign("lab"), clients.sign("unnamed")
    file = tmp_path / "credentials.toml"
    printed = ":".join(lab.fingerprint[at : at + 2].upper() for at in range(0, 64, 2))  # as openssl prints it
    file.write_text(f'[sender.lab]\nfacilities = ["01004"]\ncertificates = ["{printed}"]\n')

    async def talk():
        certificate = ServerTls(server.certificate, server.key, clients.certificate)
        async with listening(tmp_path, Credentials.open(file), certificate) as doors:
            link = await doors.link(hub.client(lab))
            assert msa((await link.ask(oru("C1"))).decode()) == ("AA", "C1")
            assert doors.brokers.messages()[0]["sender"] == "lab"
            stranger = await doors.link(hub.client(unnamed))
            assert await stranger.answer() == b""  # a good certificate that no credential names
            plain = await doors.link()
            assert await plain.answer() == b""  # the sender has no network of its own

    run(talk())


@pytest.mark.parametrize("run", LOOPS)
def test_whoever_fails_the_handshake_ends_alone_and_is_counted(hub, clients, tmp_path, monkeypatch, run):
    server, good, expired = hub.sign("server"), clients.sign("good"), clients.sign("expired", days=-1)
    foreign = hub.sign("foreign")  # signed, but by no authority of clients
    old = hub.client(good)
    old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_2
    older = hub.client(good)
    with pytest.warns(DeprecationWarning):
        older.minimum_version = older.maximum_version = ssl.TLSVersion.TLSv1_1
    older.set_ciphers("ALL:@SECLEVEL=0")

    async def refused(doors, *how, first=b""):
        before = failures()
        try:
            link = await doors.link(*how)
            if first:
                await link.write(first)
            assert await link.answer() == b""
        except (OSError, EOFError):
            pass
        await eventually(lambda: failures() == before + 1)

    async def talk():
        certificate = ServerTls(server.certificate, server.key, clients.certificate)
        async with listening(tmp_path, tls=certificate) as doors:
            friend = await doors.link(hub.client(good))
            for client in (hub.client(expired), hub.client(foreign), hub.client(), older):
                await refused(doors, client)
            await refused(doors, None, doors.listener.tls_port, first=encode(oru("PLAIN")))
            with monkeypatch.context() as hurried:
                hurried.setattr(tls, "_HANDSHAKE_S", 0.5)
                await refused(doors, None, doors.listener.tls_port)  # connects and says nothing
            assert msa((await friend.ask(oru("F1"))).decode()) == ("AA", "F1")
            assert msa((await (await doors.link(old)).ask(oru("F2"))).decode()) == ("AA", "F2")
            assert [message["control_id"] for message in doors.brokers.messages()] == ["F1", "F2"]

    run(talk())


def test_links_under_handshake_count_and_end_with_the_listener(hub, tmp_path):
    pair = hub.sign("server")

    async def talk():
        async with listening(tmp_path, tls=ServerTls(pair.certificate, pair.key), links_max=1) as doors:
            silent = await doors.link(None, doors.listener.tls_port)
            await eventually(lambda: len(doors.listener._links) == 1)
            assert await (await doors.link()).answer() == b""  # no room
            await doors.listener.stop(10)
            assert await silent.answer() == b"" and not doors.listener._links

    asyncio.run(talk())


def served(folder, credentials, certificate):
    """The HTTP API over TLS."""
    settings = read_settings(data_dir=folder)
    gate, brokers = offline_gate(folder)
    return HttpServer(build_api(settings, gate, credentials, brokers), "127.0.0.1", 0, certificate)


def test_a_new_certificate_serves_the_next_link_without_a_restart(hub, tmp_path):
    first = hub.sign("server")
    other = Authority(tmp_path, "other-authority")

    async def serial(port):
        _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=_anyone())
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return ssl.DER_cert_to_PEM_cert(der)

    async def talk():
        certificate = ServerTls(first.certificate, first.key)
        http = served(tmp_path, Credentials.open(None), certificate.without_clients())
        async with listening(tmp_path, tls=certificate) as doors:
            ports = (doors.listener.tls_port, await http.start())
            link = await doors.link(hub.client())
            before = first.certificate.read_text()
            assert [await serial(port) for port in ports] == [before, before]
            key = first.key.read_bytes()
            after = other.sign("server").certificate.read_text()  # the same files, with another certificate and key
            new_key = first.key.read_bytes()
            first.key.write_bytes(key)
            assert [await serial(port) for port in ports] == [before, before]  # half replaced: the old one goes on
            first.key.write_bytes(new_key)
            assert [await serial(port) for port in ports] == [after, after]
            assert msa((await link.ask(oru("OPEN"))).decode()) == ("AA", "OPEN")  # links that are open stay
            await http.stop(5)

    asyncio.run(talk())


def test_new_authorities_of_clients_serve_the_next_link_and_broken_ones_do_not(hub, clients, tmp_path):
    server, known = hub.sign("server"), clients.sign("known")
    others = Authority(tmp_path, "other-authority")
    newcomer = others.sign("newcomer")

    async def enters(doors, pair):
        try:
            link = await doors.link(hub.client(pair))
            return await link.ask(oru("A1")) != b""
        except OSError:
            return False

    async def talk():
        authorities = clients.certificate
        certificate = ServerTls(server.certificate, server.key, authorities)
        async with listening(tmp_path, tls=certificate) as doors:
            assert (await enters(doors, known), await enters(doors, newcomer)) == (True, False)
            authorities.write_text("no certificate\n")
            assert (await enters(doors, known), await enters(doors, newcomer)) == (True, False)
            authorities.write_bytes(others.certificate.read_bytes())
            assert (await enters(doors, known), await enters(doors, newcomer)) == (False, True)

    asyncio.run(talk())


def test_changed_credentials_are_taken_by_open_doors_within_seconds(hub, clients, tmp_path):
    server, lab, clinic = hub.sign("server"), clients.sign("lab"), clients.sign("clinic")
    (before, before_hash), (after, after_hash) = make_token(), make_token()
    file = tmp_path / "credentials.toml"

    def write(*certificates, token):
        named = "\n".join(
            f'[sender.{pair.certificate.stem}]\nfacilities = ["01004"]\ncertificates = ["{pair.fingerprint}"]'
            for pair in certificates
        )
        file.write_text(f'[sender.his]\nfacilities = ["01004"]\n{token}\n{named}\n')

    write(lab, clinic, token=f'token_blake2b = "{before_hash}"')

    async def talk():
        credentials = Credentials.open(file)
        credentials.follow()
        http = served(tmp_path, credentials, ServerTls(server.certificate, server.key))
        port = await http.start()
        tls_of = ServerTls(server.certificate, server.key, clients.certificate)
        async with (
            AsyncExitStack() as at_the_end,
            listening(tmp_path, credentials, tls_of) as doors,
            httpx.AsyncClient(verify=hub.client(), base_url=f"https://localhost:{port}") as client,
        ):
            at_the_end.push_async_callback(http.stop, 5)

            async def statuses():
                each = []
                for token in (before, after):
                    got = await client.post("/v1/messages", content=oru("S1"), headers={"Authorization": f"Bearer {token}"})
                    each.append(got.status_code)
                return each

            leaves, idles, stays = [await doors.link(hub.client(pair)) for pair in (lab, lab, clinic)]
            assert msa((await leaves.ask(oru("L1"))).decode()) == ("AA", "L1")
            assert await statuses() == [200, 401]

            both = f'token_blake2b = "{after_hash}"\nformer_token_blake2b = "{before_hash}"\nformer_until = 2999-12-31'
            write(lab, clinic, token=both)
            await eventually(lambda: credentials.edition == 1)
            assert await statuses() == [200, 200]
            assert msa((await leaves.ask(oru("L2"))).decode()) == ("AA", "L2")  # links that are open stay

            write(clinic, token=f'token_blake2b = "{after_hash}"')
            await eventually(lambda: credentials.edition == 2)
            assert await statuses() == [401, 200]
            with suppress(ConnectionError):  # an end that is seen while one writes
                assert await leaves.ask(oru("L3")) == b""
            assert await idles.answer() == b""
            assert await (await doors.link(hub.client(lab))).answer() == b""
            assert msa((await stays.ask(oru("C1"))).decode()) == ("AA", "C1")
            assert "L3" not in {message["control_id"] for message in doors.brokers.messages()}

    asyncio.run(talk())


def _anyone() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize("run", LOOPS)
def test_messages_are_taken_by_https_with_a_token(hub, tmp_path, run):
    pair = hub.sign("server")
    token, digest = make_token()
    file = tmp_path / "credentials.toml"
    file.write_text(f'[sender.lab]\nfacilities = ["01004"]\ntoken_blake2b = "{digest}"\n')

    async def talk():
        http = served(tmp_path, Credentials.open(file), ServerTls(pair.certificate, pair.key))
        port = await http.start()
        async with httpx.AsyncClient(verify=hub.client(), base_url=f"https://localhost:{port}") as client:
            assert (await client.post("/v1/messages", content=oru("S1"))).status_code == 401
            taken = await client.post("/v1/messages", content=oru("S1"), headers={"Authorization": f"Bearer {token}"})
            assert taken.status_code == 200 and taken.json()["control_id"] == "S1"
        await http.stop(5)

    run(talk())


def test_files_that_are_no_certificate_or_do_not_belong_together_stop_the_start(hub, tmp_path):
    one, two = hub.sign("one"), hub.sign("two")
    for certificate, key in ((one.certificate, two.key), (one.key, one.key), (tmp_path / "none", one.key)):
        with pytest.raises(HubError, match="SETTING_WRONG"):
            ServerTls(certificate, key)
