/*
 * http_cases.h - requests that must be refused, with their status, and some
 * that must not: what test_http_parse.c feeds to the parser in random splits,
 * test_http_server.c to a server over a socket, and tests/http/abuse.py, which
 * reads the tables in this file, to a running gateway and to nginx. The C tests
 * take heads of at most HEADER_BYTES_MAX, all take bodies of at most
 * BODY_BYTES_MAX.
 *
 * The body is one that the gateway would store, so that a refusal that is
 * missing is seen in its log.
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
#define PIN "/topics/124df56aef51.pin"
#define JSON "Content-Type: application/vnd.kafka.json.v2+json\r\n"
#define POST "POST " PIN " HTTP/1.1\r\n" HOST JSON
#define LENGTH(value) "Content-Length: " value "\r\n"
#define CODING(value) "Transfer-Encoding: " value "\r\n"
#define CHUNKED POST CODING("chunked") END
#define BODY "{\"records\":[{\"value\":1}]}"
#define LEN "25"		/* of the body */
#define HEX "19"
#define CHUNK HEX "\r\n" BODY "\r\n"
#define LAST "0\r\n\r\n"
#define TEN(x) x x x x x x x x x x
#ifndef LONG			/* more than HEADER_BYTES_MAX; abuse.py needs more than that */
#define LONG TEN(TEN("xxxxxxxxxxxxxxxxxxxxxxxxx"))
#endif

static const struct http_case http_refused[] = {
	CASE(400, "length and chunked", POST LENGTH(LEN) CODING("chunked") END CHUNK LAST),
	CASE(400, "chunked and length", POST CODING("chunked") LENGTH(LEN) END CHUNK LAST),
	CASE(400, "two lengths", POST LENGTH(LEN) LENGTH("26") END BODY),
	CASE(400, "two equal lengths", POST LENGTH(LEN) LENGTH(LEN) END BODY),
	CASE(400, "a list of lengths", POST LENGTH(LEN ", " LEN) END BODY),
	CASE(400, "a length with a plus", POST LENGTH("+" LEN) END BODY),
	CASE(400, "a negative length", POST LENGTH("-1") END BODY),
	CASE(400, "a hexadecimal length", POST LENGTH("0x" HEX) END BODY),
	CASE(400, "a length with a blank behind", POST LENGTH(LEN " ") END BODY),
	CASE(400, "a length with a blank in it", POST LENGTH(LEN " " LEN) END BODY),
	CASE(400, "an empty length", POST "Content-Length:\r\n" END BODY),
	CASE(400, "a blank length", POST LENGTH("") END BODY),
	CASE(400, "a length over 2^63", POST LENGTH("9223372036854775808") END),
	CASE(400, "a length over 2^64", POST LENGTH("18446744073709551621") END BODY),
	CASE(400, "a length with a parameter", POST LENGTH(LEN ";x") END BODY),
	CASE(400, "a length with an underscore", POST LENGTH("2_5") END BODY),
	CASE(400, "a length with a dot", POST LENGTH(LEN ".0") END BODY),
	CASE(400, "a folded length", POST "Content-Length:\r\n " LEN "\r\n" END BODY),
	CASE(400, "a length in digits that are not ASCII",
	     POST LENGTH("\357\274\222\357\274\225") END BODY),
	CASE(400, "a length after a chunked body's head in HTTP/1.0",
	     "POST " PIN " HTTP/1.0\r\n" JSON LENGTH(LEN) CODING("chunked") END CHUNK LAST),
	CASE(413, "a length over the limit", POST LENGTH("99999999999") END),

	CASE(501, "a transfer coding of gzip", POST CODING("gzip") END CHUNK LAST),
	CASE(501, "gzip, chunked", POST CODING("gzip, chunked") END CHUNK LAST),
	CASE(400, "chunked, gzip", POST CODING("chunked, gzip") END CHUNK LAST),
	CASE(400, "chunked, chunked", POST CODING("chunked, chunked") END CHUNK LAST),
	CASE(400, "chunked twice", POST CODING("chunked") CODING("chunked") END CHUNK LAST),
	CASE(501, "xchunked", POST CODING("xchunked") END CHUNK LAST),
	CASE(501, "chunkedx", POST CODING("chunkedx") END CHUNK LAST),
	CASE(501, "quoted chunked", POST CODING("\"chunked\"") END CHUNK LAST),
	CASE(400, "chunked behind a vertical tab", POST CODING("\vchunked") END CHUNK LAST),
	CASE(501, "an empty transfer coding", POST "Transfer-Encoding:\r\n" END CHUNK LAST),
	CASE(501, "identity", POST CODING("identity") END CHUNK LAST),
	CASE(501, "chunked with a parameter", POST CODING("chunked;q=1") END CHUNK LAST),
	CASE(501, "chunked behind a comma", POST CODING(",chunked") END CHUNK LAST),
	CASE(400, "chunked before a comma", POST CODING("chunked,") END CHUNK LAST),
	CASE(400, "a folded chunked", POST "Transfer-Encoding:\r\n chunked\r\n" END CHUNK LAST),
	CASE(400, "chunked with a NUL", POST CODING("chunked\0") END CHUNK LAST),
	CASE(400, "chunked in HTTP/1.0",
	     "POST " PIN " HTTP/1.0\r\n" JSON CODING("chunked") END CHUNK LAST),
	CASE(400, "a blank before that colon",
	     POST "Transfer-Encoding : chunked\r\n" END CHUNK LAST),

	CASE(400, "an empty chunk size", CHUNKED "\r\n" BODY "\r\n" LAST),
	CASE(400, "a chunk size with 0x", CHUNKED "0x" CHUNK LAST),
	CASE(400, "a chunk size with a plus", CHUNKED "+" CHUNK LAST),
	CASE(400, "a chunk size with a minus", CHUNKED "-" CHUNK LAST),
	CASE(400, "a chunk size with an underscore", CHUNKED "1_9\r\n" BODY "\r\n" LAST),
	CASE(400, "a chunk size with a blank before", CHUNKED " " CHUNK LAST),
	CASE(400, "a chunk size with a blank behind", CHUNKED HEX " \r\n" BODY "\r\n" LAST),
	CASE(400, "a chunk size of 17 digits", CHUNKED "0000000000000000" CHUNK LAST),
	CASE(413, "a chunk size of 2^64 - 1", CHUNKED "ffffffffffffffff\r\n" BODY "\r\n" LAST),
	CASE(413, "chunks over the limit together", CHUNKED CHUNK "fffff\r\n"),
	CASE(400, "a chunk size that ends in LF", CHUNKED HEX "\n" BODY "\r\n" LAST),
	CASE(400, "a chunk size that ends in CR", CHUNKED HEX "\r" BODY "\r\n" LAST),
	CASE(400, "an extension without a name", CHUNKED HEX ";\r\n" BODY "\r\n" LAST),
	CASE(400, "an extension with a blank", CHUNKED HEX ";a b\r\n" BODY "\r\n" LAST),
	CASE(400, "an extension without its value", CHUNKED HEX ";a=\r\n" BODY "\r\n" LAST),
	CASE(400, "an extension with an open quote", CHUNKED HEX ";a=\"x\r\n" BODY "\r\n" LAST),
	CASE(400, "an extension that ends in LF", CHUNKED HEX ";a\n" BODY "\r\n" LAST),
	CASE(400, "an extension with a CR", CHUNKED HEX ";a\rb\r\n" BODY "\r\n" LAST),
	CASE(400, "an extension with a NUL", CHUNKED HEX ";a\0\r\n" BODY "\r\n" LAST),
	CASE(400, "an extension with a quoted LF", CHUNKED HEX ";a=\"\n\"\r\n" BODY "\r\n" LAST),
	CASE(400, "a chunk without its CRLF", CHUNKED HEX "\r\n" BODY LAST),
	CASE(400, "a chunk that ends in LF", CHUNKED HEX "\r\n" BODY "\n" LAST),
	CASE(400, "a chunk that ends in CR", CHUNKED HEX "\r\n" BODY "\r" LAST),
	CASE(400, "a chunk longer than its size", CHUNKED "18\r\n" BODY "\r\n" LAST),
	CASE(400, "a last chunk that ends in LF", CHUNKED CHUNK "0\n\n"),
	CASE(400, "trailers that end in LF", CHUNKED CHUNK "0\r\n\n"),
	CASE(400, "a trailer that is no header", CHUNKED CHUNK "0\r\nnonsense\r\n\r\n"),
	CASE(400, "a folded trailer", CHUNKED CHUNK "0\r\nA: b\r\n c\r\n\r\n"),
	CASE(400, "a trailer that ends in LF", CHUNKED CHUNK "0\r\nA: b\n\r\n"),
	CASE(400, "a trailer with a NUL", CHUNKED CHUNK "0\r\nA: \0b\r\n\r\n"),
	CASE(431, "too many trailers", CHUNKED CHUNK "0\r\n" TEN(TEN("A: b\r\n")) "\r\n"),
	CASE(400, "a trailer without a name", CHUNKED CHUNK "0\r\n: a\r\n\r\n"),

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
	CASE(431, "headers too long", GET HOST "A: " LONG "\r\n" END),
	CASE(414, "a request line too long", "GET /" LONG " HTTP/1.1\r\n" HOST END),

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
	CASE(400, "a blank in the version", "GET / HTTP/ 1.1\r\n" HOST END),
	CASE(400, "a plus in the version", "GET / HTTP/+1.1\r\n" HOST END),
	CASE(400, "junk behind the version", "GET / HTTP/1.1x\r\n" HOST END),
	CASE(400, "a version of one digit", "GET / HTTP/1\r\n" HOST END),
	CASE(400, "two blanks before the target", "GET  / HTTP/1.1\r\n" HOST END),
	CASE(400, "two blanks before the version", "GET /  HTTP/1.1\r\n" HOST END),
	CASE(400, "a tab for a blank", "GET\t/ HTTP/1.1\r\n" HOST END),
	CASE(400, "no target", "GET HTTP/1.1\r\n" HOST END),
	CASE(400, "a blank first", " GET / HTTP/1.1\r\n" HOST END),
	CASE(400, "two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" HOST END),
	CASE(400, "TLS at a plain port", "\026\003\001\002\000\001\000\001\374\003\003"),
	CASE(501, "an unknown method", "BREW / HTTP/1.1\r\n" HOST END),
	CASE(501, "a method in lower case", "get / HTTP/1.1\r\n" HOST END),
	CASE(400, "a method with an at sign", "GE@T / HTTP/1.1\r\n" HOST END),
	CASE(400, "a NUL in the method", "GE\0T / HTTP/1.1\r\n" HOST END),
	CASE(501, "CONNECT", "CONNECT a:80 HTTP/1.1\r\n" HOST END),
	CASE(400, "a target in absolute form", "GET http://a/ HTTP/1.1\r\n" HOST END),
	CASE(400, "a target of another scheme", "GET file:///a HTTP/1.1\r\n" HOST END),
	CASE(400, "a target in authority form", "GET a:80 HTTP/1.1\r\n" HOST END),
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
	CASE(400, "two Hosts that differ", GET HOST "Host: b\r\n" END),
	CASE(400, "a Host with a user", GET "Host: a@b\r\n" END),
	CASE(400, "a Host with a path", GET "Host: a/b\r\n" END),
	CASE(400, "a Host with a blank", GET "Host: a b\r\n" END),
	CASE(400, "a Host that is a list", GET "Host: a,b\r\n" END),
	CASE(417, "an unknown expectation", POST "Expect: 200-ok\r\n" LENGTH(LEN) END BODY),
	CASE(415, "a body in brotli", POST "Content-Encoding: br\r\n" LENGTH(LEN) END BODY),
};

/* What they are for is in the echo: method, path, query, body. */
struct http_good {
	struct http_case request;
	const char *echo;
};

#define POSTED "POST " PIN " ? " BODY
#define GOOD(what, bytes, echo) { CASE(200, what, bytes), echo }

static const struct http_good http_accepted[] = {
	GOOD("plain", GET HOST END, "GET / ? "),
	GOOD("an empty line first", "\r\n" GET HOST END, "GET / ? "),
	GOOD("an empty Host", GET "Host:\r\n" END, "GET / ? "),
	GOOD("an address as Host", GET "Host: [::1]:8082\r\n" END, "GET / ? "),
	GOOD("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n" END, "GET / ? "),
	GOOD("escapes, decoded once", "GET /a%20b%2541%2Fc?x=%20 HTTP/1.1\r\n" HOST END, "GET /a b%41/c ?x=%20 "),
	GOOD("two question marks", "GET /a?b?c HTTP/1.1\r\n" HOST END, "GET /a ?b?c "),
	GOOD("OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST END, "OPTIONS * ? "),
	GOOD("a method llhttp knows", "PATCH /p HTTP/1.1\r\n" HOST END, "OTHER /p ? "),
	GOOD("a body", POST LENGTH(LEN) END BODY, POSTED),
	GOOD("a body of nothing", POST LENGTH("0") END, "POST " PIN " ? "),
	GOOD("leading zeros in the length", POST LENGTH("00" LEN) END BODY, POSTED),
	GOOD("blanks before the length", POST LENGTH("\t " LEN) END BODY, POSTED),
	GOOD("a body of GET", GET HOST LENGTH(LEN) END BODY, "GET / ? " BODY),
	GOOD("chunks", CHUNKED "a\r\n{\"records\"\r\nf\r\n:[{\"value\":1}]}\r\n" LAST, POSTED),
	GOOD("no chunks", CHUNKED LAST, "POST " PIN " ? "),
	GOOD("chunk sizes in any case and with zeros", CHUNKED "000a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
	     "POST " PIN " ? 01234567890123456789"),
	GOOD("extensions", CHUNKED HEX ";a;b=c;d=\"e;\\\"f\"\r\n" BODY "\r\n0;x\r\n\r\n", POSTED),
	GOOD("trailers", CHUNKED CHUNK "0\r\nA: b\r\nContent-Length: 7\r\n\r\n", POSTED),
	GOOD("Chunked in any case", POST "transfer-encoding: CHUNKED\r\n" END CHUNK LAST, POSTED),
	GOOD("an upgrade not taken", GET HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n" END, "GET / ? "),
	GOOD("coding identity", POST "Content-Encoding: identity\r\n" LENGTH(LEN) END BODY, POSTED),
	GOOD("a value that is not ASCII", GET HOST "X: \303\244\r\n" END, "GET / ? "),
};

#endif
