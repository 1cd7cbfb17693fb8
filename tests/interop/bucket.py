"""A bucket by boto3, in the Python that tools/interop/install-s3 made; the environment says where and who.

    bucket.py make BUCKET | list BUCKET PREFIX      the latter prints {key: size}
"""
import json
import os
import sys

import boto3
import botocore.config


def main():
    call, bucket, *more = sys.argv[1:]
    s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"],
                      config=botocore.config.Config(s3={"addressing_style": "path"}))
    if call == "make":
        s3.create_bucket(Bucket=bucket)
    else:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=more[0])
        print(json.dumps({found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}))


main()
