"""A NiceGUI application behind the door, in a process of its own as NiceGUI keeps its state by process; run by test_door_nicegui.py.

It tells, one line each, what strangers got of its files, and how many pages of them it keeps; whom `person()` named in the page function, in a
click, in a timer; then what became of a stranger's socket.
"""

import asyncio
import sys

import httpx
import uvicorn
from fastapi import FastAPI
from nicegui import Client, __version__, ui
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from hub.access.http_door import http_config
from hub.access.people import Person
from hub.access.signin import SignedIn
from hub.console.door import Door, person
from hub.contract.events import Keyring

seen = []
buttons = []


class Everybody:
    """Knows whoever says a name in the cookie."""

    async def known(self, token, at, *, used):
        return SignedIn(Person(token, "viewer", (), "vi"), token) if token else None

    async def glance(self, token, at):
        return await self.known(token, at, used=False)

    def close(self):
        """Nothing is open."""


async def click(link, client_id):
    (button,) = buttons
    (listener,) = button._event_listeners
    await link.send(f'42["event",{{"id":{button.id},"client_id":"{client_id}","listener_id":"{listener}","args":[]}}]')


async def story():
    app = FastAPI()
    Door(Everybody(), Keyring(b"a secret of tests only"), tls=False).install(app)

    @ui.page("/")
    async def page():
        seen.append(f"page {person().name}")
        buttons.append(ui.button("x", on_click=lambda: seen.append(f"click {person().name}")))
        ui.timer(0.1, lambda: seen.append(f"timer {person().name}"), once=True)

    ui.run_with(app, show_welcome_message=False)
    more = {"lifespan": "on", "log_config": None, "ws": "websockets-sansio", "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(http_config(app, open_max=8, of_one_max=4, port=0, **more))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn tells it in no other way
        await asyncio.sleep(0.05)
    host = f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with httpx.AsyncClient(base_url=f"http://{host}") as stranger:
        room = f"/_nicegui/{__version__}"
        asked = (
            "/static/nicegui.js",
            "/static/none.js",
            "/libraries/none.js",
            "/components/none.js",
            "/resources/none/x",
            "/esm/none/x",
        )
        nowhere = (
            "/resources/",
            "/resources/none",
            "/resources//x",
            "/esm/",
            "/esm/none",
            "/esm//x",
            "/libraries/a%0Ab",
            "/static/%00",
        )
        print(*[(await stranger.get(f"{room}{path}")).status_code for path in asked])
        print(*[(await stranger.get(f"{room}{path}")).status_code for path in nowhere], len(Client.instances))
    async with httpx.AsyncClient(base_url=f"http://{host}", headers={"cookie": "hie=an"}) as browser:
        answer = await browser.get("/")
        print(answer.status_code, "unsafe-eval" in answer.headers["content-security-policy"])
        quoted = (await browser.get("/nowhere-Nguyen", headers={"accept": "text/html"})).text
        print("quoted" if "Nguyen" in quoted else "not quoted")
    client_id = buttons[0].client.id
    query = f"EIO=4&transport=websocket&client_id={client_id}&implicit_handshake=true&tab_id=t&document_id=d&next_message_id=0"
    address = f"ws://{host}/_nicegui_ws/socket.io/?{query}"
    async with connect(address, origin=f"http://{host}", additional_headers={"cookie": "hie=an"}, proxy=None) as link:
        await link.recv()
        await link.send("40")
        await link.recv()
        await click(link, client_id)
        for _ in range(600):
            if len(seen) == 3:
                break
            await asyncio.sleep(0.05)
    print("\n".join(sorted(seen)))
    try:
        async with connect(address, origin=f"http://{host}", additional_headers={"cookie": "hie=binh"}, proxy=None):
            print("a stranger came in")
    except InvalidStatus as refused:
        print(refused.response.status_code)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(story())
    sys.exit(0)
