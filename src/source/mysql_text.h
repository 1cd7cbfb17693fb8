/*
 * mysql_text.h - a value of a MySQL row as JSON, as the original's emulators
 * print it: PyMySQL reads it, json.dumps(default=str) writes it.
 *
 *	INT …, YEAR, TINYINT(1)	a whole number
 *	FLOAT, DOUBLE		a number as Python's repr has it: 52.0, 1e-05, 1e+20
 *	DECIMAL			a string, as Python's str has it: "12.50", "1E-8"
 *	DATETIME, TIMESTAMP	"2020-08-28 03:52:47", with six digits behind a dot unless
 *				they are all 0; a date that is none ("0000-00-00 …") as it is
 *	DATE, texts, ENUM, SET, JSON	a string
 *
 * BLOB, BINARY, BIT, TIME and GEOMETRY are none of these: the original prints
 * of them what no model could read.
 */
#ifndef SOURCE_MYSQL_TEXT_H
#define SOURCE_MYSQL_TEXT_H

#include "base/buf.h"

#include <mysql.h>

enum mysql_form {
	MYSQL_FORM_NONE,	/* refused */
	MYSQL_FORM_INT,
	MYSQL_FORM_DOUBLE,
	MYSQL_FORM_DECIMAL,
	MYSQL_FORM_TIME,	/* DATETIME and TIMESTAMP */
	MYSQL_FORM_TEXT,
};

enum mysql_form mysql_form_of(const MYSQL_FIELD *field);
/* What the column's type is called: "BLOB". */
const char *mysql_type_name(const MYSQL_FIELD *field);
/* Of a null slice `null`. The text must be one that the server sends for that form. */
void mysql_text_put(struct buf *out, enum mysql_form form, struct slice text);

#endif
