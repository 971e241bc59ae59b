"""The console as a service: its door."""

import asyncio
import ssl

from hub.access import http_door
from hub.cli.console import serve
from hub.contract.settings import read_settings
from tests.adapters.inbound.certificates import Authority


def test_a_new_certificate_serves_the_next_visitor_without_a_restart_and_who_says_nothing_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(http_door, "_ASK_S", 0.2)
    first, other = Authority(tmp_path, "hub-authority").sign("console"), Authority(tmp_path, "other-authority")
    nobody = "postgresql://nobody@127.0.0.1:1/none"
    settings = read_settings(
        data_dir=tmp_path,
        console_port=0,
        tls_certificate=first.certificate,
        tls_key=first.key,
        database_url=nobody,
        kafka_bootstrap="127.0.0.1:1",
        registry_url="http://127.0.0.1:1",
        key_secret="a secret of tests, long enough",
    )

    async def shown(port):
        anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        _reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=anyone)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return ssl.DER_cert_to_PEM_cert(der)

    async def silent(port):
        anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
        reader, _writer = await asyncio.open_connection("127.0.0.1", port, ssl=anyone)
        return await asyncio.wait_for(reader.read(), 20)

    async def visit():
        facts = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(settings, facts.set_result))
        await asyncio.wait([serving, facts], return_when=asyncio.FIRST_COMPLETED)
        port = facts.result()["console_port"]
        before = first.certificate.read_text()
        assert await shown(port) == before
        after = other.sign("console").certificate.read_text()  # the same files, with another certificate and key
        assert after != before and await shown(port) == after
        assert await silent(port) == b""
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(visit())
