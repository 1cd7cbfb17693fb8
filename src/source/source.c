#include "source/source.h"

const char *const source_table_name[SOURCE_TABLES] = { "pin", "geo", "user" };
