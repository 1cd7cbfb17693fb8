/* How many calls of a service there are at once. */
#include "net/aws_gate.h"
#include "testing.h"

static void test_the_gate(void **state)
{
	uint64_t ticket[8];
	struct aws_gate gate;

	(void)state;
	aws_gate_init(&gate, 8);
	for (int i = 0; i < 8; i++)
		assert_true(aws_gate_enter(&gate, 0, &ticket[i]));
	assert_false(aws_gate_enter(&gate, 0, &ticket[0]));
	/* All eight were too many, not each. */
	for (int i = 0; i < 8; i++)
		aws_gate_leave(&gate, ticket[i], AWS_GATE_THROTTLED);
	assert_int_equal(aws_gate_now(&gate), 4);
	for (int times = 0; times < 5; times++) {
		assert_true(aws_gate_enter(&gate, 0, &ticket[0]));
		aws_gate_leave(&gate, ticket[0], AWS_GATE_THROTTLED);
	}
	assert_int_equal(aws_gate_now(&gate), 1);
	for (int times = 0; times < 1 + 2 + 3 + 4 + 5 + 6 + 7; times++) {
		assert_int_equal(aws_gate_now(&gate) == 8, false);
		assert_true(aws_gate_enter(&gate, 0, &ticket[0]));
		aws_gate_leave(&gate, ticket[0], AWS_GATE_ANSWERED);
	}
	assert_int_equal(aws_gate_now(&gate), 8);
	aws_gate_release(&gate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
