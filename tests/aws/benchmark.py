"""How fast `vpcflow pull sqs` is beside `vpcflow transform`, which reads the same objects as files.

    target/tmp/aws-environment/bin/python tests/aws/benchmark.py target/release/vpcflow

Both read in turn, round for round; the ratios are medians over the rounds. The server runs on the same
machine, and takes its part of it. The time of `pull` is that from its start to its last deletion of a message,
as the server writes it down: after that it only waits, to see that the queue is empty.
`cargo test --workspace documented` makes the environment.
"""

import argparse
import gzip
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3

HEADER = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"


def object_text(records, random):
    lines = [HEADER]
    for _ in range(records):
        start = 1725550000 + random.randrange(300)
        lines.append(
            f"2 123456789012 eni-{random.getrandbits(68):017x} 10.{random.randrange(4)}.{random.randrange(256)}."
            f"{random.randrange(256)} 52.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)} "
            f"{random.randrange(1024, 65536)} {random.choice([22, 53, 80, 443, 5432])} {random.choice([6, 17])} "
            f"{random.randrange(1, 200)} {random.randrange(200, 300000)} {start} {start + 60} "
            f"{random.choice(['ACCEPT', 'ACCEPT', 'ACCEPT', 'REJECT'])} OK"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vpcflow", type=Path)
    parser.add_argument("--objects", type=int, default=16)
    parser.add_argument("--records", type=int, default=100_000, help="in each object")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", type=int, default=500, help="objects of 100 records, for objects a second")
    given = parser.parse_args()

    journal = Path(tempfile.mkdtemp()) / "journal"
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("server.py"), "--port", "0", "--journal", journal],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    endpoint = server.stdout.readline().split()[-1]
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-west-1"}
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": endpoint, "AWS_DEFAULT_REGION": "eu-west-1"}
    os.environ.update(environment)
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    s3.create_bucket(Bucket="flow-logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    url = sqs.create_queue(QueueName="vpcflow")["QueueUrl"]
    generator = random.Random(1)

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)

        def make(name, objects, records):
            (folder / name).mkdir()
            for number in range(objects):
                body = gzip.compress(object_text(records, generator).encode(), 6)
                (folder / name / f"{number}.log.gz").write_bytes(body)
                s3.put_object(Bucket="flow-logs", Key=f"{name}/{number}.log.gz", Body=body)

        def announce(name, objects):
            for number in range(objects):
                record = {
                    "eventName": "ObjectCreated:Put", "awsRegion": "eu-west-1",
                    "s3": {"bucket": {"name": "flow-logs"}, "object": {"key": f"{name}/{number}.log.gz"}},
                }
                sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [record]}))

        def seconds(*arguments):
            started = time.time()
            command = [given.vpcflow, *arguments]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ended = journal.stat().st_mtime if arguments[0] == "pull" else time.time()
            return ended - started

        def processor_seconds():
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime

        pull = ["pull", "sqs", "--queue-name", "vpcflow", "--until-empty", "--wait-time-secs", "1", "--event-id"]
        for name, objects, records in [("large", given.objects, given.records), ("small", given.small, 100)]:
            make(name, objects, records)
            rounds = {"transform": [], "pull": [], "pull to files": []}
            processor = []
            for number in range(given.rounds):
                rounds["transform"].append(seconds("transform", "--event-id", folder / name))
                announce(name, objects)
                before = processor_seconds()
                rounds["pull"].append(seconds(*pull))
                processor.append((processor_seconds() - before) / objects)
                announce(name, objects)
                output = f"{folder}/{name}-out-{number}/"
                rounds["pull to files"].append(seconds(*pull, "--output", output))
            print(f"{objects} objects of {records} records, {os.cpu_count()} cores")
            for what, times in rounds.items():
                ratio = statistics.median(mine / base for mine, base in zip(times, rounds["transform"]))
                middle = statistics.median(times)
                print(
                    f"  {what:13}  {middle:7.2f} s, {objects * records / middle:9.0f} records/s, "
                    f"{objects / middle:6.1f} objects/s, {ratio:.2f} of transform's time"
                )
            print(f"  pull's own processor time: {1000 * statistics.median(processor):.1f} ms an object")
    server.stdin.close()
    server.wait()


main()
