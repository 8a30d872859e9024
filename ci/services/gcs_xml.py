"""Google's storage test server with the parts of the XML API that it has not, for ci/services/gcs.

The server (googleapis/storage-testbench) keeps the objects and decides on every condition: its JSON API is
asked, in this process, for each request. What it says of the XML API by itself is: PUT and GET of an object
without ETag and Last-Modified. It has no listing (404), no DELETE (405), no uploads in parts (501, and a part
that is PUT becomes the object). So this file stands for Google in four things, and a test that passes says
nothing of the real service there: the form of the XML documents, pages of a listing, the parts of an upload
until it is completed (kept here, in memory), and how headers are spelled.

Usage: gcs_xml.py PORT BUCKET
"""

import hashlib
import itertools
import json
import sys
import threading
from email.utils import format_datetime
from datetime import datetime
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import testbench
import waitress
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

SERVER = testbench.run()
# Of the test server itself, beside the XML API's /BUCKET/KEY.
OWN_PATHS = ("/storage/", "/upload/", "/download/", "/retry_test", "/iamapi", "/v1/")
# As many as Google lists at once.
PAGE = 1000

uploads = {}
upload_numbers = itertools.count(1)
lock = threading.Lock()


class Refused(Exception):
    """An answer of the test server's that is no success; it is passed on."""

    def __init__(self, answer):
        super().__init__(answer.status)
        self.answer = answer


def ask(method, path, **how):
    """One request to the test server's JSON API."""
    answer = Client(SERVER, use_cookies=False).open(path, method=method, **how)
    if answer.status_code >= 300:
        raise Refused(Response(answer.data, answer.status_code, content_type=answer.content_type))
    return answer


def about(bucket, key):
    return ask("GET", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}").json


def tag_of(meta):
    # The test server's own tags tell changes of the metadata apart, not objects.
    return f'"{meta["generation"]}"'


def headers_of(meta):
    written = datetime.fromisoformat(meta["updated"].replace("Z", "+00:00"))
    return {
        "ETag": tag_of(meta),
        "Last-Modified": format_datetime(written, usegmt=True),
        "x-goog-generation": meta["generation"],
    }


def xml(name, body):
    text = f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="http://doc.s3.amazonaws.com/2006-03-01">{body}</{name}>'
    return Response(text, content_type="application/xml")


def element(name, text):
    return f"<{name}>{escape(str(text))}</{name}>"


def refuse(status, code):
    answer = xml("Error", element("Code", code))
    answer.status_code = status
    return answer


def write(bucket, key, body, headers):
    """Writes an object whole, on the condition that the request names."""
    query = {"uploadType": "media", "name": key}
    if "x-goog-if-generation-match" in headers:
        query["ifGenerationMatch"] = headers["x-goog-if-generation-match"]
    content_type = headers.get("content-type", "application/octet-stream")
    return ask("POST", f"/upload/storage/v1/b/{bucket}/o", query_string=query, data=body, content_type=content_type).json


def put(request, bucket, key):
    if "uploadId" in request.args:
        return put_part(request, bucket, key)
    return Response(headers=headers_of(write(bucket, key, request.get_data(), request.headers)))


def get(request, bucket, key):
    """GET, HEAD and ranges, of one generation: what is written meanwhile is another one."""
    meta = about(bucket, key)
    size = int(meta["size"])
    headers = {**headers_of(meta), "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(size)})
    query = {"alt": "media", "generation": meta["generation"]}
    body = ask("GET", f"/download/storage/v1/b/{bucket}/o/{quote(key, safe='')}", query_string=query).data
    wanted = request.range.range_for_length(size) if request.range else None
    if request.range and not wanted:
        return refuse(416, "InvalidRange")
    if wanted:
        start, end = wanted
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return Response(body[start:end], 206, headers)
    return Response(body, 200, headers)


def delete(request, bucket, key):
    if "uploadId" in request.args:
        with lock:
            gone = uploads.pop(request.args["uploadId"], None)
        return Response(status=204) if gone else refuse(404, "NoSuchUpload")
    ask("DELETE", f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}")
    return Response(status=204)


def post(request, bucket, key):
    if "uploads" in request.args:
        ask("GET", f"/storage/v1/b/{bucket}")
        with lock:
            upload = f"upload-{next(upload_numbers)}"
            uploads[upload] = (bucket, key, {})
        return xml(
            "InitiateMultipartUploadResult",
            element("Bucket", bucket) + element("Key", key) + element("UploadId", upload),
        )
    return complete(request, bucket, key)


def put_part(request, bucket, key):
    body = request.get_data()
    with lock:
        known = uploads.get(request.args["uploadId"])
        if known is None or known[:2] != (bucket, key):
            return refuse(404, "NoSuchUpload")
        known[2][int(request.args["partNumber"])] = body
    return Response(headers={"ETag": tag(body)})


def complete(request, bucket, key):
    """The object appears whole when its parts are named, in order, by what was answered to each."""
    with lock:
        known = uploads.get(request.args["uploadId"])
    if known is None or known[:2] != (bucket, key):
        return refuse(404, "NoSuchUpload")
    body = b""
    for part in ElementTree.fromstring(request.get_data()).iter():
        if part.tag.rpartition("}")[2] != "Part":
            continue
        values = {child.tag.rpartition("}")[2]: child.text for child in part}
        piece = known[2].get(int(values["PartNumber"]))
        if piece is None or tag(piece) != values["ETag"]:
            return refuse(400, "InvalidPart")
        body += piece
    meta = write(bucket, key, body, {})
    with lock:
        uploads.pop(request.args["uploadId"], None)
    answer = xml(
        "CompleteMultipartUploadResult",
        element("Bucket", bucket) + element("Key", key) + element("ETag", tag_of(meta)),
    )
    answer.headers["x-goog-generation"] = meta["generation"]
    return answer


def tag(body):
    return f'"{hashlib.md5(body).hexdigest()}"'


def listing(request, bucket):
    """Objects and common prefixes in one order, a page at a time. The test server lists all of them at once."""
    args = request.args
    query = {"prefix": args.get("prefix", ""), "delimiter": args.get("delimiter", "")}
    found = ask("GET", f"/storage/v1/b/{bucket}/o", query_string=query).json
    entries = [(item["name"], item) for item in found.get("items", [])]
    entries += [(prefix, None) for prefix in found.get("prefixes", [])]
    after = max(args.get("start-after", ""), args.get("continuation-token", ""))
    entries = sorted((entry for entry in entries if entry[0] > after), key=lambda entry: entry[0])
    page = entries[: min(int(args.get("max-keys", PAGE)), PAGE)]
    body = element("Name", bucket) + element("IsTruncated", str(len(page) < len(entries)).lower())
    if len(page) < len(entries):
        body += element("NextContinuationToken", page[-1][0])
    for name, item in page:
        if item is None:
            body += f"<CommonPrefixes>{element('Prefix', name)}</CommonPrefixes>"
            continue
        body += "<Contents>" + element("Key", name) + element("Size", item["size"])
        body += element("LastModified", item["updated"]) + element("ETag", tag_of(item)) + "</Contents>"
    return xml("ListBucketResult", body)


@Request.application
def xml_api(request):
    bucket, _, key = request.path.lstrip("/").partition("/")
    try:
        if not key:
            return listing(request, bucket) if request.method == "GET" else refuse(405, "MethodNotAllowed")
        answers = {"GET": get, "HEAD": get, "PUT": put, "POST": post, "DELETE": delete}
        return answers[request.method](request, bucket, key)
    except Refused as refused:
        return refused.answer


def application(environ, start_response):
    own = environ["PATH_INFO"].startswith(OWN_PATHS) or environ["PATH_INFO"] == "/"
    return (SERVER if own else xml_api)(environ, start_response)


if __name__ == "__main__":
    ask("POST", "/storage/v1/b", query_string={"project": "check"}, data=json.dumps({"name": sys.argv[2]}), content_type="application/json")
    waitress.serve(application, host="127.0.0.1", port=int(sys.argv[1]), threads=16)
