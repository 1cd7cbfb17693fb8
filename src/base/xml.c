#include "base/xml.h"

#include "base/mem.h"

#include <assert.h>
#include <expat.h>
#include <limits.h>

struct xml_reading {
	XML_Parser parser;
	xml_element_fn *element;
	void *user;
	char path[XML_PATH_MAX + 1];
	size_t ends[XML_DEPTH_MAX];	/* of the path, at each depth */
	uint32_t depth;
	struct buf text;
	bool leaf;			/* the open element has no others in it so far */
	const char *refused;		/* why no more is read, or NULL */
	bool enough;
};

static void xml_refuse(struct xml_reading *reading, const char *why)
{
	reading->refused = why;
	(void)XML_StopParser(reading->parser, XML_FALSE);
}

static void XMLCALL xml_on_start(void *user, const XML_Char *name, const XML_Char **attributes)
{
	struct xml_reading *reading = user;
	size_t at = reading->depth ? reading->ends[reading->depth - 1] : 0;
	const char *colon = strrchr(name, ':');
	size_t len;

	(void)attributes;
	if (colon)
		name = colon + 1;
	len = strlen(name);
	if (len == 0) {
		xml_refuse(reading, "an element has no name");
		return;
	}
	if (reading->depth == XML_DEPTH_MAX || at + 1 + len > XML_PATH_MAX) {
		xml_refuse(reading, "its elements are nested too deep");
		return;
	}
	if (at > 0)
		reading->path[at++] = '/';
	memcpy(reading->path + at, name, len + 1);
	reading->ends[reading->depth++] = at + len;
	buf_clear(&reading->text);
	reading->leaf = true;
}

static void XMLCALL xml_on_end(void *user, const XML_Char *name)
{
	struct xml_reading *reading = user;
	struct slice text = slice_of("", 0);

	(void)name;
	if (reading->refused) /* expat ends an empty element all the same */
		return;
	assert(reading->depth > 0);
	if (buf_full(&reading->text)) {
		xml_refuse(reading, "an element is too long");
		return;
	}
	if (reading->leaf && reading->text.len > 0)
		text = buf_slice(&reading->text);
	if (!reading->element(reading->user, reading->path, text)) {
		reading->enough = true;
		(void)XML_StopParser(reading->parser, XML_FALSE);
		return;
	}
	reading->leaf = false;
	reading->depth--;
	reading->path[reading->depth ? reading->ends[reading->depth - 1] : 0] = '\0';
}

static void XMLCALL xml_on_text(void *user, const XML_Char *text, int len)
{
	struct xml_reading *reading = user;

	if (reading->leaf)
		buf_add(&reading->text, text, (size_t)len);
}

/* Entities of one's own begin here, and with them texts that are small and become large. */
static void XMLCALL xml_on_doctype(void *user, const XML_Char *name, const XML_Char *system_id,
				   const XML_Char *public_id, int has_internal)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal;
	xml_refuse(user, "it has a document type");
}

static enum err_code xml_result(const struct xml_reading *reading, enum XML_Status status,
				struct err *err)
{
	enum XML_Error error = XML_GetErrorCode(reading->parser);

	if (reading->enough || (status == XML_STATUS_OK && !reading->refused))
		return ERR_OK;
	return err_set(err, ERR_SYNTAX, "not the XML that was expected: %s, at line %lu",
		       reading->refused ? reading->refused : XML_ErrorString(error),
		       (unsigned long)XML_GetCurrentLineNumber(reading->parser));
}

enum err_code xml_read(struct slice text, xml_element_fn *element, void *user, struct err *err)
{
	struct xml_reading reading = { .element = element, .user = user };
	enum XML_Status status;
	enum err_code code;

	if (text.len > INT_MAX)
		return err_set(err, ERR_SYNTAX, "XML of %zu bytes is too long", text.len);
	reading.parser = mem_or_abort(XML_ParserCreate(NULL));
	buf_init(&reading.text, XML_TEXT_MAX);
	XML_SetUserData(reading.parser, &reading);
	XML_SetElementHandler(reading.parser, xml_on_start, xml_on_end);
	XML_SetCharacterDataHandler(reading.parser, xml_on_text);
	XML_SetStartDoctypeDeclHandler(reading.parser, xml_on_doctype);
	status = XML_Parse(reading.parser, text.len ? text.ptr : "", (int)text.len, XML_TRUE);
	code = xml_result(&reading, status, err);
	buf_release(&reading.text);
	XML_ParserFree(reading.parser);
	return code;
}
