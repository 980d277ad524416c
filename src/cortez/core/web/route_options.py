"""What is noted beside each handler when the application starts."""

from collections import ChainMap

from litestar import Litestar
from litestar.routes import HTTPRoute

from cortez.core.web.middleware import UnitOfWork


def learn_routes(app: Litestar) -> None:
    """Note beside each handler which query parameters it and its dependencies take, and which methods its path has.

    Guards are asked by `UnitOfWork.sign_in`, before a key is taken or an upload received; the framework copies the
    handler for each of them, at each request. Dependencies are resolved one after the other: none of ours waits, and a
    task group costs more than they do.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler, model in route.route_handler_map.values():
                handler.opt["methods"] = sorted(route.methods)
                if not {"guards", UnitOfWork.exclude_opt_key} & handler.opt.keys():
                    handler.opt["guards"] = tuple(handler.resolve_guards())
                    handler.resolve_guards().clear()
                providers = [provide.parsed_fn_signature for provide in handler.resolve_dependencies().values()]
                fields = dict(ChainMap(handler.parsed_fn_signature.parameters, *(one.parameters for one in providers)))
                model.dependency_batches = [{one} for batch in model.dependency_batches for one in batch]
                handler.opt["reads"] = any(one.key == "session" for batch in model.dependency_batches for one in batch)
                handler.opt["query"] = {one.field_alias: fields[one.field_name] for one in model.expected_query_params}
