/*
 * http_cases.h - requests that must be refused, with their status, and some
 * that must not: what test_http_parse.c feeds to the parser in random splits
 * and test_http_server.c to a server over a socket. Both take heads of at most
 * HEADER_BYTES_MAX and bodies of at most BODY_BYTES_MAX.
 */
#ifndef TESTS_UNIT_HTTP_CASES_H
#define TESTS_UNIT_HTTP_CASES_H

#include "base/slice.h"

enum { HEADER_BYTES_MAX = 2048, BODY_BYTES_MAX = 1 << 20 };

/* Below `below`; the same sequence in every run. */
static inline size_t test_random(size_t below)
{
	static uint64_t state = 0x2545f4914f6cdd1d;

	state = state * 6364136223846793005 + 1442695040888963407;
	return (size_t)(state >> 33) % below;
}

struct http_case {
	const char *what;
	const char *bytes;
	size_t len;
	int status;
};

#define CASE(status, what, bytes) { what, bytes, sizeof(bytes) - 1, status }
#define GET "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define END "\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n" END
#define TEN(x) x x x x x x x x x x

static const struct http_case http_refused[] = {
	CASE(400, "length and chunked", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n"),
	CASE(400, "chunked and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END "0\r\n\r\n"),
	CASE(400, "two lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n" END "hello"),
	CASE(400, "two equal lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n" END "hello"),
	CASE(400, "a list of lengths", POST "Content-Length: 5, 5\r\n" END "hello"),
	CASE(400, "a length with a plus", POST "Content-Length: +5\r\n" END "hello"),
	CASE(400, "a negative length", POST "Content-Length: -1\r\n" END "hello"),
	CASE(400, "a hexadecimal length", POST "Content-Length: 0x5\r\n" END "hello"),
	CASE(400, "a length with a blank behind", POST "Content-Length: 5 \r\n" END "hello"),
	CASE(400, "a length with a blank in it", POST "Content-Length: 5 5\r\n" END "hello"),
	CASE(400, "an empty length", POST "Content-Length:\r\n" END "hello"),
	CASE(400, "a blank length", POST "Content-Length: \r\n" END "hello"),
	CASE(400, "a length over 2^63", POST "Content-Length: 9223372036854775808\r\n" END),
	CASE(400, "a length over 2^64", POST "Content-Length: 18446744073709551621\r\n" END "hello"),
	CASE(413, "a length over the limit", POST "Content-Length: 99999999999\r\n" END),

	CASE(501, "a transfer coding of gzip", POST "Transfer-Encoding: gzip\r\n" END),
	CASE(501, "gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n" END "0\r\n\r\n"),
	CASE(400, "chunked, gzip", POST "Transfer-Encoding: chunked, gzip\r\n" END "0\r\n\r\n"),
	CASE(400, "chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n" END "0\r\n\r\n"),
	CASE(400, "chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n"),
	CASE(501, "xchunked", POST "Transfer-Encoding: xchunked\r\n" END "0\r\n\r\n"),
	CASE(501, "chunkedx", POST "Transfer-Encoding: chunkedx\r\n" END "0\r\n\r\n"),
	CASE(501, "quoted chunked", POST "Transfer-Encoding: \"chunked\"\r\n" END "0\r\n\r\n"),
	CASE(400, "chunked behind a vertical tab", POST "Transfer-Encoding: \vchunked\r\n" END "0\r\n\r\n"),
	CASE(501, "an empty transfer coding", POST "Transfer-Encoding:\r\n" END "0\r\n\r\n"),
	CASE(400, "chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END "0\r\n\r\n"),
	CASE(400, "a blank before that colon", POST "Transfer-Encoding : chunked\r\n" END "0\r\n\r\n"),

	CASE(400, "an empty chunk size", CHUNKED "\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk size with 0x", CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk size with a plus", CHUNKED "+5\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk size with a minus", CHUNKED "-5\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk size with an underscore", CHUNKED "1_0\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk size with a blank before", CHUNKED " 5\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk size with a blank behind", CHUNKED "5 \r\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk size of 17 digits", CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n"),
	CASE(413, "a chunk size of 2^64 - 1", CHUNKED "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
	CASE(413, "chunks over the limit together", CHUNKED "5\r\nhello\r\nffffe\r\n"),
	CASE(400, "a chunk size that ends in LF", CHUNKED "5\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk size that ends in CR", CHUNKED "5\rhello\r\n0\r\n\r\n"),
	CASE(400, "an extension without a name", CHUNKED "5;\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "an extension with a blank", CHUNKED "5;a b\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "an extension without its value", CHUNKED "5;a=\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "an extension with an open quote", CHUNKED "5;a=\"x\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "an extension that ends in LF", CHUNKED "5;a\nhello\r\n0\r\n\r\n"),
	CASE(400, "an extension with a CR", CHUNKED "5;a\rb\r\nhello\r\n0\r\n\r\n"),
	CASE(400, "a chunk without its CRLF", CHUNKED "5\r\nhello0\r\n\r\n"),
	CASE(400, "a chunk that ends in LF", CHUNKED "5\r\nhello\n0\r\n\r\n"),
	CASE(400, "a chunk that ends in CR", CHUNKED "5\r\nhello\r0\r\n\r\n"),
	CASE(400, "a trailer that is no header", CHUNKED "0\r\nnonsense\r\n\r\n"),
	CASE(400, "a folded trailer", CHUNKED "0\r\nA: b\r\n c\r\n\r\n"),
	CASE(400, "a trailer that ends in LF", CHUNKED "0\r\nA: b\n\r\n"),
	CASE(400, "a trailer with a NUL", CHUNKED "0\r\nA: \0b\r\n\r\n"),
	CASE(431, "too many trailers", CHUNKED "0\r\n" TEN(TEN("A: b\r\n")) "\r\n"),

	CASE(400, "a blank before the colon", GET "Host : a\r\n" END),
	CASE(400, "a blank before the first header", GET " Host: a\r\n" END),
	CASE(400, "a folded header", GET HOST "X: a\r\n b\r\n" END),
	CASE(400, "a header folded by a tab", GET HOST "X: a\r\n\tb\r\n" END),
	CASE(400, "a NUL in a value", GET HOST "X: a\0b\r\n" END),
	CASE(400, "a NUL in a name", GET HOST "X\0: a\r\n" END),
	CASE(400, "a control byte in a value", GET HOST "X: a\001b\r\n" END),
	CASE(400, "a DEL in a value", GET HOST "X: a\177b\r\n" END),
	CASE(400, "a CR in a value", GET HOST "X: a\rb\r\n" END),
	CASE(400, "a CR instead of CRLF", GET "Host: a\rX: b\r\n" END),
	CASE(400, "an LF instead of CRLF", GET "Host: a\nX: b\r\n" END),
	CASE(400, "LF everywhere", "GET / HTTP/1.1\nHost: a\n\n"),
	CASE(400, "CR everywhere", "GET / HTTP/1.1\rHost: a\r\r"),
	CASE(400, "CR CR LF", GET HOST "X: a\r\r\n" END),
	CASE(400, "an LF at the end", GET HOST "\n"),
	CASE(400, "an empty name", GET HOST ": a\r\n" END),
	CASE(400, "a header without a colon", GET HOST "nonsense\r\n" END),
	CASE(400, "a blank in a name", GET HOST "X Y: a\r\n" END),
	CASE(400, "a bracket in a name", GET HOST "X(: a\r\n" END),
	CASE(400, "a name that is not ASCII", GET HOST "X\303\244: a\r\n" END),
	CASE(431, "too many headers", GET HOST TEN(TEN("A: b\r\n")) END),
	CASE(431, "headers too long", GET HOST "A: " TEN(TEN("xxxxxxxxxxxxxxxxxxxxxxxxx")) "\r\n" END),
	CASE(414, "a request line too long", "GET /" TEN(TEN("xxxxxxxxxxxxxxxxxxxxxxxxx")) " HTTP/1.1\r\n" HOST END),

	CASE(400, "HTTP/0.9", "GET /\r\n"),
	CASE(505, "HTTP/0.9 by name", "GET / HTTP/0.9\r\n" END),
	CASE(400, "HTTP/1.10", "GET / HTTP/1.10\r\n" HOST END),
	CASE(400, "HTTP/01.1", "GET / HTTP/01.1\r\n" HOST END),
	CASE(505, "HTTP/1.2", "GET / HTTP/1.2\r\n" HOST END),
	CASE(505, "HTTP/2.0", "GET / HTTP/2.0\r\n" HOST END),
	CASE(505, "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
	CASE(400, "http in lower case", "GET / http/1.1\r\n" HOST END),
	CASE(400, "a comma in the version", "GET / HTTP/1,1\r\n" HOST END),
	CASE(400, "a blank behind the version", "GET / HTTP/1.1 \r\n" HOST END),
	CASE(400, "two blanks before the target", "GET  / HTTP/1.1\r\n" HOST END),
	CASE(400, "two blanks before the version", "GET /  HTTP/1.1\r\n" HOST END),
	CASE(400, "a tab for a blank", "GET\t/ HTTP/1.1\r\n" HOST END),
	CASE(400, "no target", "GET HTTP/1.1\r\n" HOST END),
	CASE(400, "a blank first", " GET / HTTP/1.1\r\n" HOST END),
	CASE(400, "two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" HOST END),
	CASE(400, "TLS at a plain port", "\026\003\001\002\000\001\000\001\374\003\003"),
	CASE(501, "an unknown method", "BREW / HTTP/1.1\r\n" HOST END),
	CASE(501, "a method in lower case", "get / HTTP/1.1\r\n" HOST END),
	CASE(501, "CONNECT", "CONNECT a:80 HTTP/1.1\r\n" HOST END),
	CASE(400, "a target in absolute form", "GET http://a/ HTTP/1.1\r\n" HOST END),
	CASE(400, "a target without a slash", "GET a HTTP/1.1\r\n" HOST END),
	CASE(400, "a star for GET", "GET * HTTP/1.1\r\n" HOST END),
	CASE(400, "a fragment", "GET /a#b HTTP/1.1\r\n" HOST END),
	CASE(400, "a target that is not ASCII", "GET /\303\244 HTTP/1.1\r\n" HOST END),
	CASE(400, "a NUL in the target", "GET /\0 HTTP/1.1\r\n" HOST END),
	CASE(400, "a bad escape", "GET /%zz HTTP/1.1\r\n" HOST END),
	CASE(400, "a cut escape", "GET /%4 HTTP/1.1\r\n" HOST END),
	CASE(400, "an escaped NUL", "GET /a%00b HTTP/1.1\r\n" HOST END),

	CASE(400, "no Host", GET END),
	CASE(400, "two Hosts", GET HOST HOST END),
	CASE(400, "a Host with a path", GET "Host: a/b\r\n" END),
	CASE(400, "a Host with a blank", GET "Host: a b\r\n" END),
	CASE(400, "a Host that is a list", GET "Host: a,b\r\n" END),
	CASE(417, "an unknown expectation", POST "Expect: 200-ok\r\nContent-Length: 5\r\n" END "hello"),
	CASE(415, "a body in gzip", POST "Content-Encoding: gzip\r\nContent-Length: 5\r\n" END "hello"),
};

/* What they are for is in the echo: method, path, query, body. */
struct http_good {
	struct http_case request;
	const char *echo;
};

#define GOOD(what, bytes, echo) { CASE(200, what, bytes), echo }

static const struct http_good http_accepted[] = {
	GOOD("plain", GET HOST END, "GET / ? "),
	GOOD("an empty line first", "\r\n" GET HOST END, "GET / ? "),
	GOOD("an empty Host", GET "Host:\r\n" END, "GET / ? "),
	GOOD("an address as Host", GET "Host: [::1]:8082\r\n" END, "GET / ? "),
	GOOD("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n" END, "GET / ? "),
	GOOD("escapes, decoded once", "GET /a%20b%2541%2Fc?x=%20 HTTP/1.1\r\n" HOST END, "GET /a b%41/c ?x=%20 "),
	GOOD("two question marks", "GET /a?b?c HTTP/1.1\r\n" HOST END, "GET /a ?b?c "),
	GOOD("OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST END, "OTHER * ? "),
	GOOD("a method llhttp knows", "PATCH /p HTTP/1.1\r\n" HOST END, "OTHER /p ? "),
	GOOD("a body", POST "Content-Length: 5\r\n" END "hello", "POST / ? hello"),
	GOOD("a body of nothing", POST "Content-Length: 0\r\n" END, "POST / ? "),
	GOOD("leading zeros in the length", POST "Content-Length: 005\r\n" END "hello", "POST / ? hello"),
	GOOD("blanks before the length", POST "Content-Length: \t 5\r\n" END "hello", "POST / ? hello"),
	GOOD("a body of GET", GET HOST "Content-Length: 5\r\n" END "hello", "GET / ? hello"),
	GOOD("chunks", CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "POST / ? hello world"),
	GOOD("no chunks", CHUNKED "0\r\n\r\n", "POST / ? "),
	GOOD("chunk sizes in any case and with zeros", CHUNKED "000a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
	     "POST / ? 01234567890123456789"),
	GOOD("extensions", CHUNKED "5;a;b=c;d=\"e;\\\"f\"\r\nhello\r\n0;x\r\n\r\n", "POST / ? hello"),
	GOOD("trailers", CHUNKED "5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 7\r\n\r\n", "POST / ? hello"),
	GOOD("Chunked in any case", POST "transfer-encoding: CHUNKED\r\n" END "1\r\nx\r\n0\r\n\r\n", "POST / ? x"),
	GOOD("an upgrade not taken", GET HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n" END, "GET / ? "),
	GOOD("coding identity", POST "Content-Encoding: identity\r\nContent-Length: 1\r\n" END "x", "POST / ? x"),
	GOOD("a value that is not ASCII", GET HOST "X: \303\244\r\n" END, "GET / ? "),
};

#endif
