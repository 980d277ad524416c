"""Requests whose JSON bodies are decoded strictly."""

from typing import Any

from litestar import Request
from litestar.datastructures import State

from cortez.core.security.principal import Principal
from cortez.core.web.decoding import decode

# The user of a request is a principal, on a route that is not public.
ServiceRequest = Request[Principal, None, State]


class StrictRequest(ServiceRequest):
    """A request whose JSON body is decoded strictly, straight into the type that the handler asks for."""

    async def json(self) -> Any:
        raw = await self.body() or b"{}"
        parameter = self.scope["route_handler"].parsed_fn_signature.parameters["data"]
        return decode(raw, parameter.annotation)
