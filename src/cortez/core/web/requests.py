"""Requests whose JSON bodies are decoded strictly."""

from typing import Any

from litestar import Request

from cortez.core.web.decoding import decode


class StrictRequest(Request[Any, Any, Any]):
    """A request whose JSON body is decoded strictly, straight into the type that the handler asks for."""

    async def json(self) -> Any:
        raw = await self.body() or b"{}"
        parameter = self.scope["route_handler"].parsed_fn_signature.parameters["data"]
        return decode(raw, parameter.annotation)
