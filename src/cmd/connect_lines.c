#include "cmd/connect_lines.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

enum { URL_BYTES_MAX = 16 << 10 };

static bool is_plain_http(const char *endpoint) { return strncmp(endpoint, "http://", 7) == 0; }

/* A JSON text is one of Python, too. */
static void put_python(struct buf *out, const char *text) { json_put_string(out, slice_str(text)); }

/* Python's keywords, and what the lines themselves go on with. */
static bool is_taken_in_python(const char *word)
{
	static const char *const words[] = {
		"False",      "None",	 "True",    "and",	"as",	    "assert", "async",
		"await",      "break",	 "class",   "continue", "def",	    "del",    "elif",
		"else",	      "except",	 "finally", "for",	"from",	    "global", "if",
		"import",     "in",	 "is",	    "lambda",	"nonlocal", "not",    "or",
		"pass",	      "raise",	 "return",  "try",	"while",    "with",   "yield",
		"DeltaTable", "options", "polars",  "spark",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

/* A variable for the table. */
static void put_python_name(struct buf *out, const char *table)
{
	if (*table >= '0' && *table <= '9')
		buf_add_char(out, '_');
	for (const char *at = table; *at; at++)
		buf_add_char(out, *at == '-' ? '_' : *at);
	if (is_taken_in_python(table))
		buf_add_char(out, '_');
}

static void put_sql(struct buf *out, const char *text)
{
	buf_add_char(out, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			buf_add_char(out, '\'');
		buf_add_char(out, *text);
	}
	buf_add_char(out, '\'');
}

static void put_option(struct buf *out, const char *name, const char *value)
{
	if (!*value)
		return;
	buf_addf(out, "    \"%s\": ", name);
	put_python(out, value);
	buf_add_str(out, ",\n");
}

/* Of delta-rs, which Polars reads with, too. False: there are none. */
static bool put_options(struct buf *out, const struct connect_place *place)
{
	if (!place->bucket)
		return false;
	buf_add_str(out, "# The keys: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role\n");
	if (!*place->endpoint && !*place->region)
		return false;
	buf_add_str(out, "options = {\n");
	put_option(out, "AWS_ENDPOINT_URL", place->endpoint);
	put_option(out, "AWS_REGION", *place->region ? place->region : "us-east-1");
	put_option(out, "AWS_ALLOW_HTTP", is_plain_http(place->endpoint) ? "true" : "");
	buf_add_str(out, "}\n");
	return true;
}

static void put_pandas(struct buf *out, const struct connect_place *place)
{
	bool options;

	buf_add_str(out, "from deltalake import DeltaTable\n");
	options = put_options(out, place);
	put_python_name(out, place->table);
	buf_add_str(out, " = DeltaTable(");
	put_python(out, place->location);
	buf_addf(out, "%s).to_pandas()\n", options ? ", storage_options=options" : "");
}

static void put_polars(struct buf *out, const struct connect_place *place)
{
	bool options;

	buf_add_str(out, "import polars\n");
	options = put_options(out, place);
	put_python_name(out, place->table);
	buf_add_str(out, " = polars.scan_delta(");
	put_python(out, place->location);
	buf_addf(out, "%s).collect()\n", options ? ", storage_options=options" : "");
}

/* Without the scheme, which the secret has no room for. */
static const char *host_of(const char *endpoint)
{
	const char *host = strstr(endpoint, "://");

	return host ? host + 3 : endpoint;
}

static void put_secret(struct buf *out, const struct connect_place *place)
{
	buf_add_str(out, "CREATE SECRET (TYPE s3, PROVIDER credential_chain");
	if (*place->region) {
		buf_add_str(out, ", REGION ");
		put_sql(out, place->region);
	}
	if (*place->endpoint) {
		buf_add_str(out, ", ENDPOINT ");
		put_sql(out, host_of(place->endpoint));
		buf_addf(out, ", URL_STYLE 'path', USE_SSL %s",
			 is_plain_http(place->endpoint) ? "false" : "true");
	}
	buf_add_str(out, ");\n");
}

static void put_duckdb(struct buf *out, const struct connect_place *place)
{
	buf_add_str(out, "INSTALL delta; LOAD delta;\n");
	if (place->bucket)
		put_secret(out, place);
	buf_addf(out, "CREATE VIEW \"%s\" AS FROM delta_scan(", place->table);
	put_sql(out, place->location);
	buf_addf(out, ");\nFROM \"%s\" LIMIT 10;\n", place->table);
}

static void connect_put_setting(struct buf *out, const char *name, const char *value)
{
	if (!*value)
		return;
	buf_addf(out, "spark._jsc.hadoopConfiguration().set(\"%s\", ", name);
	put_python(out, value);
	buf_add_str(out, ")\n");
}

/* Which has a scheme of its own for a bucket, and takes a path for one of its default store. */
static void put_spark(struct buf *out, const struct connect_place *place)
{
	struct buf url;

	if (place->bucket && *place->endpoint) {
		connect_put_setting(out, "fs.s3a.endpoint", place->endpoint);
		connect_put_setting(out, "fs.s3a.path.style.access", "true");
	}
	if (place->bucket)
		connect_put_setting(out, "fs.s3a.endpoint.region", place->region);
	put_python_name(out, place->table);
	buf_add_str(out, " = spark.read.format(\"delta\").load(");
	buf_init(&url, URL_BYTES_MAX);
	if (place->bucket)
		buf_addf(&url, "s3a%s", place->location + strlen("s3"));
	else
		buf_addf(&url, "file://%s", place->location);
	put_python(out, buf_cstr(&url));
	buf_release(&url);
	buf_add_str(out, ")\n");
	put_python_name(out, place->table);
	buf_add_str(out, ".show(10)\n");
}

const struct connect_tool connect_tools[CONNECT_TOOLS] = {
	{ "pandas", "Python: pip install deltalake pandas pyarrow", put_pandas },
	{ "polars", "Python: pip install polars deltalake", put_polars },
	{ "duckdb", "SQL, of duckdb's own shell or duckdb.sql()", put_duckdb },
	{ "spark", "Python, in pyspark --packages io.delta:delta-spark_4.0_2.13:4.3.0", put_spark },
};
