/* What simdjson's DOM, with its own copy of the text, makes of it. */
#include "json_dom.h"

#include <string>

#include <simdjson.h>

using simdjson::dom::element;
using simdjson::dom::element_type;

namespace {

constexpr size_t text_max = 1 << 20;
constexpr size_t depth_room = 1024;

/* Of what was written: how deep it went. */
size_t depth, deepest;

void enter()
{
	if (++depth > deepest)
		deepest = depth;
}

template <typename T> void put_bytes(std::string &out, T value)
{
	out.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

void put_string(std::string &out, std::string_view text)
{
	out += '"';
	put_bytes(out, static_cast<uint64_t>(text.size()));
	out += text;
}

template <typename T> void put_number(std::string &out, char tag, element value)
{
	T number{};

	if (value.get(number) == simdjson::SUCCESS) {
		out += tag;
		put_bytes(out, number);
	}
}

void put(std::string &out, element value);

void put_array(std::string &out, element value)
{
	simdjson::dom::array array;

	enter();
	out += '[';
	if (value.get(array) == simdjson::SUCCESS)
		for (element item : array)
			put(out, item);
	out += ']';
	depth--;
}

void put_object(std::string &out, element value)
{
	simdjson::dom::object object;

	enter();
	out += '{';
	if (value.get(object) == simdjson::SUCCESS)
		for (auto member : object) {
			put_string(out, member.key);
			put(out, member.value);
		}
	out += '}';
	depth--;
}

void put(std::string &out, element value)
{
	std::string_view text;
	bool truth = false;

	switch (value.type()) {
	case element_type::ARRAY:
		return put_array(out, value);
	case element_type::OBJECT:
		return put_object(out, value);
	case element_type::INT64:
		return put_number<int64_t>(out, 'i', value);
	case element_type::UINT64:
		return put_number<uint64_t>(out, 'u', value);
	case element_type::DOUBLE:
		return put_number<double>(out, 'd', value);
	case element_type::STRING:
		if (value.get(text) == simdjson::SUCCESS)
			put_string(out, text);
		return;
	case element_type::BOOL:
		if (value.get(truth) == simdjson::SUCCESS)
			out += truth ? 't' : 'f';
		return;
	case element_type::NULL_VALUE:
		out += 'n';
		return;
	}
}

} // namespace

bool json_dom(const uint8_t *text, size_t len, size_t depth_max, const char **ret, size_t *ret_len)
{
	static simdjson::dom::parser parser(text_max);
	static bool ready = parser.allocate(text_max, depth_room) == simdjson::SUCCESS;
	static std::string out;
	element root;

	if (!ready || len == 0 || parser.parse(text, len, true).get(root) != simdjson::SUCCESS)
		return false;
	out.clear();
	depth = deepest = 0;
	put(out, root);
	*ret = out.data();
	*ret_len = out.size();
	return deepest <= depth_max;
}
