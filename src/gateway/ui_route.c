/* The routes of the page. */
#include "gateway/ui.h"

#include "base/mem.h"

const struct route ui_page_route = {
	HTTP_METHOD_GET, "/ui", FACE_PAGE, SCOPE_NONE, ROUTE_OPEN, ui_page, "the page",
};

const struct route ui_routes[] = {
	{ HTTP_METHOD_GET, "/ui", FACE_PAGE, SCOPE_NONE, ROUTE_OPEN, ui_page, "the page" },
	{ HTTP_METHOD_GET, "/ui/assets/{name}", FACE_PAGE, SCOPE_NONE, ROUTE_OPEN, ui_asset,
	  "a file of it" },
	{ HTTP_METHOD_GET, "/ui/session", FACE_PAGE, SCOPE_NONE, ROUTE_OPEN | ROUTE_NAMED,
	  ui_session_get, "what the caller may" },
	{ HTTP_METHOD_POST, "/ui/session", FACE_PAGE, SCOPE_NONE, ROUTE_OPEN | ROUTE_NAMED,
	  ui_session_post, "take a key against a session" },
	{ HTTP_METHOD_DELETE, "/ui/session", FACE_PAGE, SCOPE_NONE, ROUTE_OPEN | ROUTE_NAMED,
	  ui_session_delete, "end the session" },
	{ HTTP_METHOD_GET, "/ui/events", FACE_PAGE, SCOPE_READ, 0, ui_events,
	  "the status, once a second" },
	{ HTTP_METHOD_GET, "/ui/tables", FACE_PAGE, SCOPE_READ, 0, ui_tables, "list tables" },
	{ HTTP_METHOD_GET, "/ui/tables/{table}", FACE_PAGE, SCOPE_READ, 0, ui_table,
	  "schema and place of a table" },
	{ HTTP_METHOD_GET, "/ui/rows/{table}", FACE_PAGE, SCOPE_READ, 0, ui_rows, "newest rows" },
	{ HTTP_METHOD_GET, "/ui/history/{table}", FACE_PAGE, SCOPE_READ, 0, ui_history,
	  "its commits" },
	{ HTTP_METHOD_GET, "/ui/answers", FACE_PAGE, SCOPE_READ, 0, ui_answers, "list analyses" },
	{ HTTP_METHOD_GET, "/ui/answers/{name}", FACE_PAGE, SCOPE_READ, 0, ui_answer,
	  "the answer of one" },
	{ HTTP_METHOD_GET, "/ui/runs", FACE_PAGE, SCOPE_READ, 0, ui_runs, "runs of batch" },
	{ HTTP_METHOD_GET, "/ui/topics", FACE_PAGE, SCOPE_READ, ROUTE_BLOCKS, ui_topics,
	  "list topics and streams" },
	{ HTTP_METHOD_GET, "/ui/records/{topic}", FACE_PAGE, SCOPE_READ, 0, ui_records, "records" },
	{ HTTP_METHOD_GET, "/ui/tail/{topic}", FACE_PAGE, SCOPE_READ, 0, ui_tail,
	  "records as they come" },
	{ HTTP_METHOD_GET, "/ui/where", FACE_PAGE, SCOPE_READ, 0, ui_where, "where a record is" },
	{ HTTP_METHOD_GET, "/ui/letters", FACE_PAGE, SCOPE_READ, 0, ui_letters,
	  "letters by reason" },
	{ HTTP_METHOD_GET, "/ui/letters/{topic}", FACE_PAGE, SCOPE_READ, 0, ui_letters_of,
	  "letters of a topic" },
	{ HTTP_METHOD_POST, "/ui/replay", FACE_PAGE, SCOPE_ADMIN, 0, ui_replay,
	  "clean letters again" },
	{ HTTP_METHOD_POST, "/ui/run", FACE_PAGE, SCOPE_ADMIN, 0, ui_run, "run batch now" },
	{ HTTP_METHOD_POST, "/ui/sql", FACE_PAGE, SCOPE_ADMIN, 0, ui_sql, "ask a question" },
};

const size_t ui_route_count = ARRAY_LEN(ui_routes);
