"""Requests that break HTTP's rules, against the running gateway; the same ones to nginx."""

import pytest

from abuse import GATEWAY_ENV, NGINX, Exchange, explained, nginx_verdicts, read_cases
from rest import end_offset

REFUSED, ACCEPTED = read_cases()


@pytest.fixture
def gateway(start_gateway):
    return start_gateway(env=GATEWAY_ENV)


def test_refused_closed_and_nothing_stored(gateway):
    """Neither of the case nor of the valid POST behind it; the gateway closes though its client does not."""
    wrong = []
    for case in REFUSED:
        exchange = Exchange(gateway.host, gateway.port, case.sent)
        if exchange.statuses != [case.status] or b"\r\nConnection: close\r\n" not in exchange.received:
            wrong.append(f"{case.what}: {case.status} expected, got {exchange.received[:500]}")
    assert not wrong, "\n".join(wrong)
    assert end_offset(gateway) == 0


def test_accepted_and_both_stored(gateway):
    """What is unusual but right, and the POST behind it: so the test above would have seen them."""
    stored = 0
    for case in ACCEPTED:
        exchange = Exchange(gateway.host, gateway.port, case.sent)
        kept_open = b"HTTP/1.0" not in case.sent
        assert len(exchange.statuses) == 1 + kept_open, (case.what, exchange.received)
        stored += exchange.received.count(b'"offset":')
        assert end_offset(gateway) == stored, case.what
    assert stored >= len(ACCEPTED) + 5, "some cases are posts"


@pytest.mark.skipif(not NGINX.exists(), reason="needs nginx")
def test_every_difference_to_nginx_is_explained(gateway, tmp_path):
    cases = REFUSED + ACCEPTED
    ours = {case.what: Exchange(gateway.host, gateway.port, case.sent).verdict for case in cases}
    theirs = nginx_verdicts(cases, tmp_path)
    differences = {what: (verdict, theirs[what]) for what, verdict in ours.items() if verdict != theirs[what]}
    assert differences == explained()
