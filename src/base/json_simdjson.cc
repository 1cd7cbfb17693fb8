/* The one C++ file: simdjson's first stage and the library's numbers behind plain functions.
 * Nothing throws. */
#include "base/json_simdjson.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

#include <simdjson.h>

static_assert(SIMD_PADDING >= simdjson::SIMDJSON_PADDING, "json.h promises too little room");

struct simd_parser {
	std::unique_ptr<simdjson::internal::dom_parser_implementation> stages;
};

namespace {

constexpr size_t no_depth = 1;	/* only the second stage goes down */

[[noreturn]] void out_of_memory()
{
	fputs("fatal: out of memory\n", stderr);
	abort();
}

} // namespace

simd_parser *simd_parser_new(size_t capacity)
{
	simd_parser *parser = new (std::nothrow) simd_parser;

	if (!parser ||
	    simdjson::get_active_implementation()->create_dom_parser_implementation(
		    capacity, no_depth, parser->stages))
		out_of_memory();
	return parser;
}

void simd_parser_free(simd_parser *parser)
{
	delete parser;
}

bool simd_find_tokens(simd_parser *parser, const char *text, size_t len, simd_tokens *ret_tokens)
{
	simdjson::internal::dom_parser_implementation &stages = *parser->stages;

	if (stages.stage1(reinterpret_cast<const uint8_t *>(text), len,
			  simdjson::stage1_mode::regular))
		return false;
	*ret_tokens = { stages.structural_indexes.get(), stages.n_structural_indexes };
	return true;
}

bool simd_get_double(const char *text, size_t len, double *ret)
{
	double value;

	if (std::from_chars(text, text + len, value).ec != std::errc{}) {
		/* Too large or too near to 0: strtod() tells which. */
		value = strtod(std::string(text, len).c_str(), nullptr);
		if (!std::isfinite(value))
			return false;
	}
	*ret = value;
	return true;
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
