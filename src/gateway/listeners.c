#include "gateway/listeners.h"

#include "base/mem.h"

static const char *const names[] = {
	[FACE_KAFKA] = "kafka",
	[FACE_KINESIS] = "kinesis",
	[FACE_OPS] = "ops",
	[FACE_PAGE] = "page",
};

/* Takes the next word off the text, which is cut. "": there is none. */
static char *listeners_word(char **text, const char *separators)
{
	char *word = *text + strspn(*text, separators);
	size_t len = strcspn(word, separators);

	*text = word + len;
	if (**text)
		*(*text)++ = '\0';
	return word;
}

static enum err_code listeners_parse_faces(char *words, unsigned *faces, struct err *err)
{
	char *word;

	while (*(word = listeners_word(&words, ", \t\n"))) {
		unsigned face = 0;

		while (face < ARRAY_LEN(names) && strcmp(word, names[face]) != 0)
			face++;
		if (face == ARRAY_LEN(names))
			return err_set(err, ERR_USAGE,
				       "there is no face \"%s\": kafka, kinesis, page"
				       " and ops are there",
				       word);
		*faces |= 1u << face;
	}
	if (*faces == 0)
		*faces = FACES_ALL;
	return ERR_OK;
}

enum err_code listeners_init(struct listeners *listeners, const char *first, const char *more,
			     struct err *err)
{
	char *rest, *one, *address;

	*listeners = (struct listeners){
		.count = 1,
		.addresses = { first },
		.faces = { FACES_ALL },
		.more = xstrdup(more),
	};
	rest = listeners->more;
	while (*(one = listeners_word(&rest, ";"))) {
		unsigned number = listeners->count;

		address = listeners_word(&one, " \t\n");
		if (!*address)
			continue;
		if (number == HTTP_LISTENERS_MAX)
			return err_set(err, ERR_USAGE,
				       "gateway.listen_also: %d addresses are the"
				       " most",
				       HTTP_LISTENERS_MAX - 1);
		listeners->addresses[number] = address;
		if (listeners_parse_faces(one, &listeners->faces[number], err) != ERR_OK)
			return err_prefix(err, "gateway.listen_also: %s", address);
		listeners->count++;
	}
	return ERR_OK;
}

void listeners_release(struct listeners *listeners) { free(listeners->more); }

void listeners_put_faces(struct buf *out, unsigned faces)
{
	const char *separator = "";

	for (unsigned face = 0; face < ARRAY_LEN(names); face++) {
		if (!(faces & 1u << face))
			continue;
		buf_addf(out, "%s%s", separator, names[face]);
		separator = ",";
	}
}
