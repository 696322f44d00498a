"""AWS for the tests: moto's server on 127.0.0.1, with what it lacks for them.

It prints `listening on http://127.0.0.1:PORT`, and ends when its standard input does: with the test that started it.

`--journal FILE` gets a line of JSON for each message that is deleted, before the client hears of it:
{"queue": its name, "body": the message's, "watched": {path below --watch: its size at that moment}}.

`POST /faults` with {FAULT: VALUE, "count": N} makes the next N requests of that kind fail; N is 1 by itself:
    s3_get_status       GetObject answers with this status
    s3_cut_after        GetObject's body ends after so many bytes of those announced
    s3_delay_secs       GetObject answers so much later
    sqs_receive_status  ReceiveMessage answers with this status
    sqs_delete_fail     so many entries of DeleteMessageBatch fail; takes no count
    kinesis_get_records_error   GetRecords answers with this error
    logs_filter_error           FilterLogEvents answers with this error
    dynamodb_update_error       UpdateItem answers with this error
"""

import argparse
import json
import logging
import os
import select
import socket
import sys
import threading
import time
import warnings
from functools import wraps
from pathlib import Path

import flask
from moto.kinesis.models import KinesisBackend, Stream
from moto.kinesis.utils import decompose_shard_iterator
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogsBackend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import FakeBucket, s3_backends
from moto.sqs.models import Queue, SQSBackend
from moto.utilities.utils import get_partition
from werkzeug.serving import make_server

ERROR_CODES = {403: "AccessDenied", 404: "NoSuchKey", 429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}
REASON = "a fault of the test"
TARGETS = {
    "DynamoDB_20120810.UpdateItem": "dynamodb_update_error",
    "Kinesis_20131202.GetRecords": "kinesis_get_records_error",
    "Logs_20140328.FilterLogEvents": "logs_filter_error",
}
# How soon a waiting receiver notices that a message has become visible again, or that its client has gone.
RECEIVE_AGAIN_SECS = 0.05


def wrap(owner, name):
    """Replaces a method by a function that gets the original as its first argument."""

    def decorate(function):
        original = getattr(owner, name)

        @wraps(original)
        def wrapped(*arguments, **named):
            return function(original, *arguments, **named)

        setattr(owner, name, wrapped)
        return function

    return decorate


class Faults:
    """The faults that are still to come."""

    def __init__(self):
        self.lock = threading.Lock()
        self.pending = []

    def add(self, request):
        count = request.pop("count", 1)
        ((name, value),) = request.items()
        if name == "sqs_delete_fail":
            count, value = value, True
        with self.lock:
            self.pending += [(name, value)] * count

    def take(self, name):
        """The value of the oldest pending fault of this name, which is over with this."""
        with self.lock:
            for index, (pending, value) in enumerate(self.pending):
                if pending == name:
                    del self.pending[index]
                    return value
        return None


faults = Faults()


class Application:
    """moto, behind the faults of HTTP."""

    def __init__(self):
        self.moto = DomainDispatcherApplication(create_service)

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/faults":
            faults.add(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
            start_response("204 No Content", [])
            return []
        if is_get_object(environ):
            time.sleep(faults.take("s3_delay_secs") or 0)
            if status := faults.take("s3_get_status"):
                body = f"<Error><Code>{ERROR_CODES[status]}</Code><Message>{REASON}</Message></Error>"
                return refuse(start_response, status, "application/xml", body)
            if (length := faults.take("s3_cut_after")) is not None:
                return cut(self.moto(environ, start_response), length)
        elif environ.get("HTTP_X_AMZ_TARGET") == "AmazonSQS.ReceiveMessage":
            if status := faults.take("sqs_receive_status"):
                body = json.dumps({"__type": ERROR_CODES[status], "message": REASON})
                return refuse(start_response, status, "application/x-amz-json-1.0", body)
        for target, fault in TARGETS.items():
            if environ.get("HTTP_X_AMZ_TARGET") == target and (code := faults.take(fault)):
                body = json.dumps({"__type": code, "message": REASON})
                return refuse(start_response, 400, "application/x-amz-json-1.1", body)
        return self.moto(environ, start_response)


def create_service(name):
    if name == "cloudformation":
        complete_cloudformation()
    return create_backend_app(name)


def is_get_object(environ):
    bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    signed_for_s3 = "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "")
    return environ["REQUEST_METHOD"] == "GET" and signed_for_s3 and bucket != "" and key != ""


def refuse(start_response, status, content_type, body):
    start_response(f"{status} Fault", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
    return [body.encode()]


def cut(chunks, length):
    # The server closes the connection after each answer, so that the client sees it end too early.
    yield b"".join(chunks)[:length]


# moto's queues can lose and double messages under several clients: a deletion replaces the list to which a send appends,
# and nothing keeps two receivers apart. Its long poll looks once a second, and gives to clients that have gone.
@wrap(SQSBackend, "receive_message")
def receive_message(original, self, queue_name, count, wait_seconds_timeout, *rest):
    queue = self.get_queue(queue_name)
    end = time.monotonic() + wait_seconds_timeout
    with queue._messages_lock:
        while not client_has_gone():
            messages = original(self, queue_name, count, 0, *rest)
            if messages or time.monotonic() >= end:
                return messages
            queue._messages_lock.wait(RECEIVE_AGAIN_SECS)
    return []


def client_has_gone():
    connection = flask.request.environ["werkzeug.socket"]
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""


@wrap(SQSBackend, "delete_message_batch")
def delete_message_batch(original, self, queue_name, receipts):
    refused = [entry for entry in receipts if faults.take("sqs_delete_fail")]
    successful, failed = original(self, queue_name, [entry for entry in receipts if entry not in refused])
    for entry in refused:
        failed.append({"Id": entry["Id"], "SenderFault": False, "Code": "InternalError", "Message": REASON})
    return successful, failed


# moto puts records into shards that were split or merged, moves those that they have to the shards that follow, and
# such a shard never ends.
resharding = threading.RLock()


@wrap(Stream, "get_shard_for_key")
def get_shard_for_key(original, self, *arguments):
    with resharding:
        shards = self.shards
        self.shards = {name: shard for name, shard in shards.items() if shard.is_open}
        try:
            return original(self, *arguments)
        finally:
            self.shards = shards


def reshard(original, self, *arguments):
    with resharding:
        parents = [(self.shards[name], self.shards[name].records) for name in arguments if name in self.shards]
        for parent, records in parents:
            parent.records = type(records)()
        try:
            original(self, *arguments)
        finally:
            for parent, records in parents:
                parent.records = records


wrap(Stream, "split_shard")(reshard)
wrap(Stream, "merge_shards")(reshard)


@wrap(LogsBackend, "filter_log_events")
def filter_log_events(original, self, *arguments, **named):
    if (named.get("start_time", arguments[2] if len(arguments) > 2 else None) or 0) < 0:
        raise InvalidParameterException("startTime must be greater than or equal to 0")
    return original(self, *arguments, **named)


@wrap(KinesisBackend, "get_records")
def get_records(original, self, stream_arn, shard_iterator, limit):
    with resharding:
        following, records, behind = original(self, stream_arn, shard_iterator, limit)
        stream, shard_id, _ = decompose_shard_iterator(following)
        shard = self.describe_stream(stream_arn=stream_arn, stream_name=stream).get_shard(shard_id)
        at_end = records == [] and not shard.is_open
    return None if at_end else following, records, behind


def keep_journal(journal, watch):
    @wrap(Queue, "delete_message")
    def delete_message(original, self, receipt_handle):
        with self._messages_lock:
            # None for a message that was deleted before, which is no error.
            message = next((message for message in self._messages if message.had_receipt_handle(receipt_handle)), None)
            # Before the deletion, lest what is written upon it count.
            watched = sizes(watch)
            original(self, receipt_handle)
        if journal and message:
            line = json.dumps({"queue": self.name, "body": message.body, "watched": watched}) + "\n"
            # One write, so that the lines of several threads do not mix.
            with open(journal, "ab", buffering=0) as file:
                file.write(line.encode())


def sizes(watch):
    if watch is None:
        return {}
    found = {}
    for path in [watch] if watch.is_file() else watch.rglob("*"):
        try:
            if path.is_file():
                found[path.name if path == watch else path.relative_to(watch).as_posix()] = path.stat().st_size
        except FileNotFoundError:
            # Renamed or removed while this looked.
            pass
    return found


# moto passes over a bucket's notifications in a template.
@wrap(FakeBucket, "create_from_cloudformation_json")
def create_bucket(original, resource_name, template, account_id, region_name, **named):
    bucket = original(resource_name, template, account_id, region_name, **named)
    asked = template.get("Properties", {}).get("NotificationConfiguration", {})
    configuration = {}
    for kind in ["Queue", "Topic"]:
        if f"{kind}Configurations" in asked:
            configuration[f"{kind}Configuration"] = [
                {kind: one[kind], "Event": [one["Event"]]} | filters(one) for one in asked[f"{kind}Configurations"]
            ]
    if "EventBridgeConfiguration" in asked:
        configuration["EventBridgeConfiguration"] = {}
    backend = s3_backends[account_id][get_partition(region_name)]
    backend.put_bucket_notification_configuration(resource_name, configuration)
    return bucket


def filters(notification):
    rules = notification.get("Filter", {}).get("S3Key", {}).get("Rules")
    return {"Filter": {"S3Key": {"FilterRule": rules}}} if rules else {}


def complete_cloudformation():
    # Here, since it takes more than a second to import, and few tests want it.
    from moto.cloudformation import parsing

    # moto leaves null in a list where CloudFormation removes AWS::NoValue.
    @wrap(parsing, "clean_json")
    def clean_json(original, value, resources):
        cleaned = original(value, resources)
        return [item for item in cleaned if item is not None] if isinstance(cleaned, list) else cleaned


def main():
    parser = argparse.ArgumentParser(description="AWS for the tests")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--watch", type=Path)
    arguments = parser.parse_args()

    # Each request, and each resource of a template that moto does not know.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")

    keep_journal(arguments.journal, arguments.watch)
    server = make_server("127.0.0.1", arguments.port, Application(), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.buffer.read()
    # Without waiting for the requests that are under way.
    os._exit(0)


main()
