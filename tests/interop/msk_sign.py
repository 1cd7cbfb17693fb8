"""msk_sign.py REGION SECONDS: AWS's own signer of tokens for MSK at that Unix time, for the keys of the environment.

Runs in the Python that tools/interop/install-kafka made. Prints the token, when it ends (ms), and who it says made it.
"""
import datetime
import sys
from unittest import mock

import botocore.auth
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider


def main():
    region, seconds = sys.argv[1:]
    at = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=at):
        print(*MSKAuthTokenProvider.generate_auth_token(region), MSKAuthTokenProvider.__get_user_agent__(), sep="\n")


main()
