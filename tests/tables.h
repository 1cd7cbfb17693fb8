/* tables.h - the tables of models/clean, in order of name, as reports count them. */
#ifndef TESTS_TABLES_H
#define TESTS_TABLES_H

enum { GEO, PIN, USER, TABLES };

#endif
