"""An HTTP API in pages, of which some rows are not as the contract wants them."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ROWS, PAGE, DEFECTIVE = 100, 40, (3, 77)


def shop(request: Request) -> JSONResponse:
    """Return a page of a shop's products, with the path of the next one."""
    name, first = request.path_params["shop"], int(request.query_params.get("after", "0"))
    numbers = range(first, min(first + PAGE, ROWS))
    items = [
        {"sku": f"{name}-{number}", "price": "free" if number in DEFECTIVE else number + 0.5}
        for number in numbers
    ]
    after = f"/shops/{name}?after={numbers.stop}" if numbers.stop < ROWS else None
    return JSONResponse({"items": items, "next": after})


shops_api = Starlette(routes=[Route("/shops/{shop}", shop)])
