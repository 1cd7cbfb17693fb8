/* The one C++ file: simdjson's DOM parser behind plain functions. Nothing throws. */
#include "base/json_simdjson.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include <simdjson.h>

static_assert(SIMD_PADDING >= simdjson::SIMDJSON_PADDING, "json.h promises too little room");

namespace {

constexpr size_t capacity_first = 16 * 1024;
constexpr size_t capacity_kept_max = 1024 * 1024;	/* a parser needs about 14 bytes a byte */

[[noreturn]] void out_of_memory()
{
	fputs("fatal: out of memory\n", stderr);
	abort();
}

simd_verdict verdict_of(simdjson::error_code code)
{
	switch (code) {
	case simdjson::SUCCESS:
		return SIMD_OK;
	case simdjson::MEMALLOC:
		out_of_memory();
	case simdjson::EMPTY:
		return SIMD_EMPTY;
	case simdjson::DEPTH_ERROR:
		return SIMD_TOO_DEEP;
	default:
		return SIMD_NOT_JSON;
	}
}

} // namespace

struct simd_parser {
	simd_parser(size_t bytes_max, size_t depth_max)
		: bytes_max(bytes_max), depth_max(depth_max) {}

	const size_t bytes_max;
	const size_t depth_max;
	size_t capacity = 0;
	std::unique_ptr<simdjson::dom::parser> dom;

	/* Doubles, so that a steady load allocates nothing; one huge text is not kept for ever. */
	void make_room(size_t len)
	{
		if (dom && len <= capacity &&
		    (capacity <= capacity_kept_max || len > capacity_kept_max))
			return;
		capacity = capacity_first;
		while (capacity < len)
			capacity *= 2;
		dom.reset(new (std::nothrow) simdjson::dom::parser(capacity));
		if (!dom || dom->allocate(capacity, depth_max) || dom->doc.allocate(capacity))
			out_of_memory();
	}
};

simd_parser *simd_parser_new(size_t bytes_max, size_t depth_max)
{
	simd_parser *parser = new (std::nothrow) simd_parser(bytes_max, depth_max);

	if (!parser)
		out_of_memory();
	return parser;
}

void simd_parser_free(simd_parser *parser)
{
	delete parser;
}

simd_verdict simd_parse(simd_parser *parser, const char *text, size_t len, simd_doc *ret_doc)
{
	parser->make_room(len);
	simdjson::dom::parser &dom = *parser->dom;
	simd_verdict verdict = verdict_of(dom.parse(text, len, false).error());

	if (verdict == SIMD_OK)
		*ret_doc = { dom.doc.tape.get(), dom.doc.string_buf.get(),
			     dom.implementation->structural_indexes.get(),
			     dom.implementation->n_structural_indexes };
	return verdict;
}

size_t simd_put_double(double value, char *out)
{
	return static_cast<size_t>(std::to_chars(out, out + SIMD_NUMBER_MAX, value).ptr - out);
}

size_t simd_put_scientific(double value, char *out)
{
	return static_cast<size_t>(std::to_chars(out, out + SIMD_NUMBER_MAX, value,
						 std::chars_format::scientific).ptr - out);
}
