"""What a person opens in a browser: the front page and the documentation of the API."""

from litestar import Router

from cortez import health

routers = [Router("/", route_handlers=[health.live, health.ready])]
