"""A shelf of books that speaks gRPC and says of itself what it speaks: `python3 server.py PORT`.

Needs grpcio, grpcio-tools and grpcio-reflection. The messages are made from the `.proto` when it starts.
"""

import os
import sys
import tempfile
from concurrent import futures
from pathlib import Path

import grpc
from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection
from grpc_tools import protoc

PROTOS = Path(__file__).parent / "protos"


def compiled():
    """The modules of `shelf.proto`; Google's annotations come from their own modules."""
    out = tempfile.mkdtemp(prefix="shelf-")
    known = descriptor_pb2.FileDescriptorSet()
    for one in (descriptor_pb2, http_pb2, annotations_pb2):
        one.DESCRIPTOR.CopyToProto(known.file.add())
    Path(out, "known.pb").write_bytes(known.SerializeToString())
    options = (f"--descriptor_set_in={out}/known.pb", f"-I{PROTOS}", f"--python_out={out}")
    if protoc.main(["protoc", *options, f"--grpc_python_out={out}", "shelf.proto"]):
        sys.exit("shelf.proto cannot be compiled")
    sys.path.insert(0, out)
    import shelf_pb2
    import shelf_pb2_grpc

    return shelf_pb2, shelf_pb2_grpc


pb, services = compiled()


class Shelf(services.ShelfServicer):
    """Keeps its books for as long as it runs."""

    def __init__(self):
        book = pb.Book(isbn="978-0", title="On Gateways", copies=2)
        self.books = {book.isbn: book}

    def GetBook(self, request, context):
        if request.isbn not in self.books:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no book {request.isbn}")
        return self.books[request.isbn]

    def AddBook(self, request, context):
        return self.books.setdefault(request.isbn, request)

    def ListBooks(self, request, context):
        return iter([book for book in self.books.values() if request.title in book.title])


def main():
    """Serves until it is told to stop."""
    server = grpc.server(futures.ThreadPoolExecutor(8))
    services.add_ShelfServicer_to_server(Shelf(), server)
    names = (pb.DESCRIPTOR.services_by_name["Shelf"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    server.add_insecure_port(f"0.0.0.0:{os.environ.get('PORT', sys.argv[1])}")
    server.start()
    server.wait_for_termination()


main()
