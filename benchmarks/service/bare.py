"""A bare FastAPI route that echoes its body: the cost of HTTP, JSON and validation without a search."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Body(BaseModel):
    vector: list[float]
    k: int = 10


app = FastAPI()


@app.post("/v1/search")
async def echo(body: Body) -> Body:
    return body


@app.get("/readyz")
async def ready() -> str:
    return "ready"


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[sys.argv.index("--port") + 1]), access_log=False, log_level="warning")
