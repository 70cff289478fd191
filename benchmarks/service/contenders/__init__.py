"""The contenders: each builds a store from the same rows and answers the same query vectors."""

from benchmarks.service.contenders.base import Contender, Corpus, Knob, Opened
from benchmarks.service.contenders.lance import Lance
from benchmarks.service.contenders.ours import AS_BUILT, TUNED, OursByHttp, OursInProcess
from benchmarks.service.contenders.pgvector import PgVector
from benchmarks.service.contenders.qdrant import Qdrant

__all__ = ["CONTENDERS", "Contender", "Corpus", "Knob", "Opened"]

PREFIX = 128
"""64 dimensions of the built-in model reach too little recall at any effort."""

CONTENDERS: tuple[Contender, ...] = (
    *(OursByHttp(built, encoding) for built in (AS_BUILT, TUNED) for encoding in ("list", "base64")),
    *(OursInProcess(built) for built in (AS_BUILT, TUNED)),
    Qdrant(),
    Qdrant(int8=True),
    Qdrant(prefix=PREFIX),
    Lance("IVF_PQ"),
    Lance("IVF_HNSW_SQ"),
    Lance("IVF_HNSW_SQ", prefix=PREFIX),
    PgVector(),
    PgVector(prefix=PREFIX),
)
