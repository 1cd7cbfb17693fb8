/* testing.h - cmocka with the headers that it wants first, and what every C test needs. */
#ifndef TESTS_TESTING_H
#define TESTS_TESTING_H

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The call must give ERR_OK; prints the message if not. Wants a `struct err err` in scope. */
#define assert_ok(call) \
	do { \
		enum err_code code_ = (call); \
		if (code_ != ERR_OK) \
			fail_msg("%s: %s: %s", #call, err_name(code_), err.msg); \
	} while (0)

#endif
